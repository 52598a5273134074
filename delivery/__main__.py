"""The commands of the pipelines: `python -m delivery COMMAND`.

Each command's module has a function `add_parser(add)`, and only the module of the command that is asked for is
imported: `venv`, `verify` and `doctor` must run where nothing but Python is installed.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from delivery import python_version  # noqa: F401 - refuses an old Python, before anything else fails in it
from delivery.commands import Add, Command
from delivery.console import RefusedError, UnusableError, harmless_output, tell_mistakes
from delivery.environment import cleaned

# In the order in which a release meets them.
MODULES = {
    "doctor": "delivery.doctor",
    "venv": "delivery.venv",
    "package": "delivery.package",
    "verify": "delivery.verify",
    "preview": "delivery.preview",
    "deploy": "delivery.deploy",
    "smoke": "delivery.smoke",
    "test": "delivery.suites",
    "retain": "delivery.retain",
    "drift": "delivery.drift",
    "rollback": "delivery.rollback",
    "status": "delivery.status",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; gives its exit code."""
    with harmless_output():
        return _run(sys.argv[1:] if arguments is None else list(arguments))


def _run(given: Sequence[str]) -> int:
    for name in set(os.environ) - set(cleaned(os.environ)):
        del os.environ[name]
    as_json = "--json" in given
    try:
        options = _parser(given).parse_args(given)
        command: Command = options.command
        return command(options)
    except RefusedError as error:
        tell_mistakes(error.mistakes, as_json=as_json)
        return 1
    except UnusableError as error:
        tell_mistakes(error.mistakes, as_json=as_json)
        return 2
    except OSError as error:
        failed = UnusableError(
            str(error.filename or "file system"), str(error.strerror or error), "see to it, and repeat"
        )
        tell_mistakes(failed.mistakes, as_json=as_json)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m delivery",
        description="From a commit to production: the commands that the pipelines call.",
        epilog="`python -m delivery COMMAND --help` has a command's options and exit codes.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    wanted = given[0] if given else None
    for name, module in MODULES.items():
        try:
            if wanted in (name, "-h", "--help"):
                import_module(module).add_parser(_adding(commands))
            else:
                commands.add_parser(name)
        except ModuleNotFoundError as error:
            if wanted == name:
                remedy = "install the locked packages: python -m delivery venv --lock requirements.lock"
                raise UnusableError(name, f"the package {error.name!r} isn't installed", remedy) from None
            commands.add_parser(name, help="not here: the locked packages aren't installed")
    return parser


def _adding(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Add:
    def add(name: str, command: Command, help_text: str, text: str, codes: str) -> argparse.ArgumentParser:
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

    return add


if __name__ == "__main__":
    sys.exit(main())
