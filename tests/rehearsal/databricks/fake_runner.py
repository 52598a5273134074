"""Stands in for the notebook runner in tests of the scheduler: the notebook's lines are orders.

`python fake_runner.py TASK_DIR` reads the same `task.json` and writes the same `result.json` as the real one. A line
`# ORDER ARGUMENTS` is one of: `sleep SECONDS`, `fail WORDS`, `fail-until ATTEMPT`, `crash CODE`, `exit TEXT`,
`set KEY JSON`, `child SECONDS` (a process of its own session that writes its pid to `child.pid`), `show` (prints),
`secret SCOPE KEY` (asks the workspace for it), `deaf` (ignores the polite end), `wait PATH` (until the file is there).
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any


def main(folder: Path) -> int:
    task = json.loads((folder / "task.json").read_text())
    entries = json.loads((Path(task["workspace"]) / ".workspace.json").read_text())
    [entry] = [each for each in entries if each["path"] == task["notebook"]]
    source = (Path(task["workspace"]) / entry["file"]).read_text()
    result: dict[str, Any] = {
        "state": "SUCCESS",
        "result": None,
        "truncated": False,
        "error": None,
        "error_trace": None,
    }
    result["values"] = {}
    for line in source.splitlines()[1:]:
        order, _, rest = line.removeprefix("# ").partition(" ")
        if order == "fail" or (order == "fail-until" and int(task["context"]["attempt"]) < int(rest)):
            result |= {"state": "FAILED", "error": f"ValueError: {rest}", "error_trace": f"Traceback: {rest}"}
            break
        if order == "exit":
            result["result"] = rest
            break
        follow(order, rest, folder, task, result)
    (folder / "page.html").write_text(f"<!doctype html><title>{task['notebook']}</title>")
    fresh = folder / "result.new"
    fresh.write_text(json.dumps(result))
    fresh.replace(folder / "result.json")
    return 0 if result["state"] == "SUCCESS" else 1


def follow(order: str, rest: str, folder: Path, task: dict[str, Any], result: dict[str, Any]) -> None:
    if order == "sleep":
        time.sleep(float(rest))
    elif order == "wait":
        while not Path(rest).exists():
            time.sleep(0.02)
    elif order == "crash":
        os._exit(int(rest))
    elif order == "set":
        key, _, value = rest.partition(" ")
        result["values"][key] = json.loads(value)
    elif order == "child":
        child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({rest})"], start_new_session=True)
        (folder / "child.pid").write_text(str(child.pid))
    elif order == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif order == "show":
        names = ("parameters", "kind", "user", "task_values", "cluster")
        print(json.dumps({name: task[name] for name in names}), flush=True)
    elif order == "secret":
        scope, key = rest.split(" ")
        with closing(HTTPConnection(task["host"].removeprefix("http://"), timeout=10)) as connection:
            headers = {"Authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}"}
            connection.request("GET", f"/api/2.0/secrets/get?scope={scope}&key={key}", headers=headers)
            value = json.load(connection.getresponse())["value"]
        print(base64.b64decode(value).decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
