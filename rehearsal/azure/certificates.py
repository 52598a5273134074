"""The certificate by which the proxy answers for Azure's names: the rehearsal's own, believed by whoever is told to."""

import datetime
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rehearsal.home import BELIEVED, write_private

_DAYS = 3650
_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate and its private key, each in a file in PEM, and a file with all certificates to believe."""

    file: Path
    key: Path
    bundle: Path

    @property
    def variables(self) -> dict[str, str]:
        """By which clients are told whom to believe: those of Python, and of Go."""
        return dict.fromkeys(_BUNDLE_VARIABLES, str(self.bundle))

    @property
    def context(self) -> ssl.SSLContext:
        """For a server that answers by it."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.file, self.key)
        return made


def certificate(folder: Path, names: Iterable[str]) -> Certificate:
    """The certificate in a folder; made when it is missing. The key can be read by its owner alone.

    Args:
        folder: made when it is missing.
        names: the hosts that it is for.
    """
    made = Certificate(file=folder / "certificate.pem", key=folder / "certificate.key", bundle=folder / BELIEVED)
    if not made.bundle.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(made, names)
        # What is believed on this machine stays believed.
        known = next((os.environ[name] for name in _BUNDLE_VARIABLES if os.environ.get(name)), certifi.where())
        made.bundle.write_bytes(Path(known).read_bytes() + b"\n" + made.file.read_bytes())
    return made


def _make(wanted: Certificate, names: Iterable[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The rehearsal's Azure")])
    now = datetime.datetime.now(datetime.UTC)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(wanted.key, encoded.decode())
    wanted.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
