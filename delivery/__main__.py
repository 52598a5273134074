"""The commands of the pipelines: `python -m delivery COMMAND`."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from delivery.console import Progress, RefusedError, UnusableError, tell, tell_mistakes
from delivery.manifest import Build

PACKAGE_TEXT = """\
Package a commit for release: a folder with the Pulumi program, the locked requirements, these commands, the notebooks
and the release's tests, and manifest.json. It is read from git's objects: the same commit gives the same files, and
with the same branch and build the same manifest.

Refused are: uncommitted changes of what is packaged (unless --commit says which commit is meant), credentials,
notebooks that Databricks would refuse, tests among what goes to production, imports of modules that aren't packaged,
symbolic links, submodules, pointers of Git LFS, and names that not every file system can hold.
"""
PACKAGE_CODES = """\
exit codes:
  0  packaged
  1  refused: the commit can't be released; every reason is told
  2  wrong usage, or something can't be read or written
"""
VERIFY_TEXT = """\
Compare an artifact with its manifest and with the digest it should have, and say what differs. It needs nothing but
Python. Inside the artifact's folder run it with `python -B`, or with PYTHONDONTWRITEBYTECODE=1 in the environment:
otherwise Python leaves a folder __pycache__ there, and that is a difference.
"""
VERIFY_CODES = """\
exit codes:
  0  equal
  1  something differs: a file is missing, added, changed or of another mode; the manifest was altered, its digest
     isn't the expected one, or its format is of another version
  2  wrong usage, or something can't be read
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; gives its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except RefusedError as error:
        tell_mistakes(error.mistakes, as_json=options.json)
        return 1
    except UnusableError as error:
        tell_mistakes(error.mistakes, as_json=options.json)
        return 2
    except OSError as error:
        failed = UnusableError(
            str(error.filename or "file system"), str(error.strerror or error), "see to it, and repeat"
        )
        tell_mistakes(failed.mistakes, as_json=options.json)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m delivery",
        description="From a commit to production: the commands that the pipelines call.",
        epilog="`python -m delivery COMMAND --help` has a command's options and exit codes.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, command: Callable[[argparse.Namespace], int], help_text: str, text: str, codes: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=help_text,
            description=text,
            epilog=codes,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument("--json", action="store_true", help="print the result as one JSON document")
        made.set_defaults(command=command)
        return made

    made = add("package", _package, "a commit as an artifact, with a manifest", PACKAGE_TEXT, PACKAGE_CODES)
    made.add_argument("--output", type=Path, required=True, help="the artifact's folder; made, or empty before")
    made.add_argument("--project", type=Path, default=Path(), help="the folder with Pulumi.yaml (this one)")
    made.add_argument("--commit", help="what to package (HEAD, if nothing is uncommitted)")
    made.add_argument(
        "--branch", default=os.environ.get("BUILD_SOURCEBRANCH"), help="the branch built ($BUILD_SOURCEBRANCH)"
    )
    made.add_argument("--build-id", default=os.environ.get("BUILD_BUILDID"), help="the run's id ($BUILD_BUILDID)")
    made.add_argument(
        "--build-number", default=os.environ.get("BUILD_BUILDNUMBER"), help="the run's number ($BUILD_BUILDNUMBER)"
    )
    made = add("verify", _verify, "an artifact against its manifest and digest", VERIFY_TEXT, VERIFY_CODES)
    made.add_argument("folder", type=Path, help="the artifact")
    made.add_argument("--digest", help="the digest that `package` has printed; else the manifest's own counts")
    return parser


def _package(options: argparse.Namespace) -> int:
    # Here, because `verify` must run where nothing is installed yet.
    from delivery.package import Wanted, package  # noqa: PLC0415
    from delivery.verify import summary  # noqa: PLC0415

    wanted = Wanted(
        project=options.project,
        output=options.output.absolute(),
        commit=options.commit,
        branch=options.branch or None,
        build=_build(options),
        built_commit=None if options.commit else os.environ.get("BUILD_SOURCEVERSION"),
    )
    whole = package(wanted, Progress())
    lines = [f"version {whole.version}", f"content {whole.content}", f"digest  {whole.digest}"]
    tell(lines, {"folder": str(wanted.output), **summary(whole)}, as_json=options.json)
    return 0


def _build(options: argparse.Namespace) -> Build | None:
    if not options.build_id and not options.build_number:
        return None
    if not options.build_number or not str(options.build_id).isdecimal():
        found = f"--build-id is {options.build_id!r}, --build-number {options.build_number!r}"
        raise UnusableError("--build-id", found, "give both, the id as a number, or neither")
    return Build(id=int(options.build_id), number=options.build_number)


def _verify(options: argparse.Namespace) -> int:
    from delivery.verify import verify  # noqa: PLC0415 - as above

    verdict = verify(options.folder, options.digest, Progress())
    tell(verdict.lines(), verdict.document(), as_json=options.json)
    return 0 if verdict.equal else 1


if __name__ == "__main__":
    sys.exit(main())
