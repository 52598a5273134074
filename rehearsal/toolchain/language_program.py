"""Runs one Pulumi program, in the interpreter of the program's own virtual environment.

The language host starts this file and hands the request over on standard input: settings may hold secrets, and a
command line is readable by everybody on the machine. What a program meets here is what it meets with the official
executor (`pulumi-language-python-exec` in pulumi/pulumi): exit code 32 after an error that has been shown, the code
of `sys.exit` as it is, configuration in `PULUMI_CONFIG`.

It imports nothing of this project, because it also runs in environments that don't have it.
"""

import asyncio
import json
import logging
import os
import runpy
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

ERROR_WAS_SHOWN = 32


def main() -> int:
    """Reads the request, runs the program and gives the exit code."""
    request: dict[str, Any] = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the program gets no standard input, as with the official host
    # The engine cancels with SIGINT. A traceback then would only bury what really went wrong.
    signal.signal(signal.SIGINT, _end)
    try:
        import pulumi  # noqa: PLC0415 - a missing SDK is the user's error, to be told in a sentence
        import pulumi.runtime  # noqa: PLC0415
    except ImportError as error:
        print(f"{error}\nThe Pulumi SDK is not installed in {sys.prefix}.", file=sys.stderr)
        return 1

    os.environ["PULUMI_CONFIG"] = json.dumps(request["config"])
    os.environ["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(request["secret_keys"])
    pulumi.runtime.set_all_config(request["config"], request["secret_keys"])
    pulumi.runtime.configure(pulumi.runtime.Settings(**request["settings"]))
    os.chdir(request["directory"])
    program = request["program"]
    sys.argv = [program, *request["arguments"]]
    # The SDK abandons futures when a program fails; asyncio would complain about each of them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    def run() -> None:
        if Path(program).is_dir() and not (Path(program) / "__main__.py").is_file():
            raise pulumi.RunError(f"there is no program: {Path(program).resolve() / '__main__.py'} doesn't exist")
        runpy.run_path(program, run_name="__main__")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # As many threads as the SDK's own server takes (pulumi/automation/_server.py): each registration holds one until
    # its resource is there, and a hook that needs one meanwhile must get it.
    loop.set_default_executor(ThreadPoolExecutor(max(request["settings"]["parallel"], 1) * 4))
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return ERROR_WAS_SHOWN
    except Exception as error:  # noqa: BLE001 - whatever the program raises is shown to its author
        shown = traceback.format_exception(type(error), error, _of_the_program(error.__traceback__))
        pulumi.log.error("Program failed with an unhandled exception:\n" + "".join(shown))
        return ERROR_WAS_SHOWN
    finally:
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _of_the_program(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame below the program's folder on; the whole of it, if there is none."""
    here, step = str(Path.cwd()), trace
    while step is not None:
        file = step.tb_frame.f_code.co_filename  # `<frozen runpy>` for what isn't a file
        if file.startswith(os.sep) and os.path.realpath(file).startswith(here + os.sep):
            return step
        step = step.tb_next
    return trace


def _end(*_: object) -> None:
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
