"""A made-up credential, planted wherever one could get by mistake: to see that it would be found there."""

import base64
import sqlite3
import subprocess
import zipfile
from contextlib import closing

from rehearsal.tour.steps import NOTEBOOK, PRODUCTION, Tour

# What a stand-in has noted of runs, and words in it behind which something can be written.
_NOTED = {"timeline": "Check the code", "test-result": "test_naming"}


def plant(tour: Tour, secret: str) -> None:
    """Puts it into a place of each kind of `tests.tour.canary.KINDS`; in some of them within base64."""
    home, team = tour.home, tour.team
    basic = base64.b64encode(f":{secret}".encode()).decode()
    (home.agent / "work" / "planted.txt").write_text(f"Authorization: Bearer {secret}\n")
    (home.backend / "planted.json").write_text(f'{{"token": "{secret}"}}')
    artifact = next((home.state("azuredevops") / "artifacts").glob("*.zip"))
    with zipfile.ZipFile(artifact, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("release/planted.py", f"TOKEN = {secret!r}\n")
    repository = next((home.state("azuredevops") / "repositories").iterdir())
    command = ["git", "--git-dir", str(repository), "hash-object", "-w", "--stdin"]
    subprocess.run(command, input=basic.encode(), check=True, capture_output=True)
    team.ask_about("dana", tour.pull_request, f"Why Basic {basic}?")
    team.person("administrator").ask("PUT", f"_apis/build/builds/{tour.build}/tags/{secret}")
    team.add_to_notebook(f"{PRODUCTION}/{NOTEBOOK.removesuffix('.py')}", f"# {secret}\n")
    with closing(sqlite3.connect(home.state("azuredevops") / "azuredevops.sqlite", timeout=60)) as opened, opened:
        for kind, words in _NOTED.items():
            changed = opened.execute(
                "UPDATE documents SET body = replace(body, ?, ?) WHERE kind = ?", (words, f"{words} {secret}", kind)
            )
            assert changed.rowcount
        line = f"2026-11-24T00:00:00.0000000Z Basic {basic}\n".encode()
        opened.execute(
            "UPDATE blobs SET body = CAST(body || ? AS BLOB) WHERE rowid = "
            "(SELECT max(rowid) FROM blobs WHERE kind = 'log')",
            (line,),
        )
