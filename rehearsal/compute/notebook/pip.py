"""`%pip`: what is there already is accepted, everything else refused by name; nothing is ever installed.

docs.databricks.com/libraries/notebooks-python-libraries.
"""

import importlib.metadata
import shlex
from pathlib import Path

from rehearsal.compute.notebook.errors import UnsupportedError

_SILENT = {"-q", "--quiet", "--disable-pip-version-check", "--no-input", "--no-warn-script-location"}


def run(line: str) -> str:
    """Runs what follows `%pip`; gives what it prints.

    Raises:
        UnsupportedError: an option, a command or a package that isn't there.
    """
    words = shlex.split(line, comments=True)
    match words:
        case ["list", *options] if not options:
            return _listed("{name} {version}")
        case ["freeze"]:
            return _listed("{name}=={version}")
        case ["show", name]:
            return _shown(name)
        case ["install", *wanted] if wanted:
            return "\n".join(_checked(each) for each in _requirements(wanted))
    raise UnsupportedError(f"the rehearsal does not know %pip {line}")


def _requirements(words: list[str]) -> list[str]:
    found: list[str] = []
    left = iter(words)
    for word in left:
        if word in ("-r", "--requirement"):
            found += _from_file(next(left, ""))
        elif word.startswith("-") and word not in _SILENT:
            raise UnsupportedError(f"the rehearsal does not know %pip install {word}")
        elif not word.startswith("-"):
            found.append(word)
    return found


def _from_file(name: str) -> list[str]:
    lines = [line.partition(" #")[0].strip() for line in Path(name).read_text(encoding="utf-8").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    for line in found:
        if line.startswith("-") or line.endswith("\\"):
            raise UnsupportedError(f"the rehearsal does not know this line of {name}: {line}")
    return found


def _checked(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - few notebooks need it

    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        raise UnsupportedError(f"the rehearsal installs nothing, and {text} names no version of a package") from None
    if wanted.marker is not None and not wanted.marker.evaluate():
        return f"Ignoring {wanted.name}: markers '{wanted.marker}' don't match your environment"
    if wanted.url:
        raise UnsupportedError(f"the rehearsal installs nothing, {text} neither")
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        raise UnsupportedError(f"the rehearsal installs nothing, and {wanted.name} isn't there") from None
    if not wanted.specifier.contains(version, prereleases=True):
        raise UnsupportedError(
            f"the rehearsal installs nothing, and {wanted.name} is there as {version}, not {wanted.specifier}"
        )
    for needed in importlib.metadata.requires(wanted.name) or []:
        further = Requirement(needed)
        if any(further.marker and further.marker.evaluate({"extra": extra}) for extra in wanted.extras):
            further.marker = None
            _checked(str(further))
    return f"Requirement already satisfied: {text} ({version})"


def _listed(form: str) -> str:
    found = {each.name: each.version for each in importlib.metadata.distributions()}
    return "\n".join(form.format(name=name, version=found[name]) for name in sorted(found, key=str.lower))


def _shown(name: str) -> str:
    try:
        found = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        raise UnsupportedError(f"the rehearsal installs nothing, and {name} isn't there") from None
    return "\n".join(f"{field}: {found[field]}" for field in ("Name", "Version", "Summary"))
