"""What the benchmark runs in: both stand-ins as processes of their own, the product and the plain program."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, run
from rehearsal import processes
from rehearsal.home import SERVICES, Home, Service
from rehearsal.toolchain import Toolchain
from tests.engine.system import LEAKS, PASSPHRASE, ROOT, Project

NOTEBOOKS_PER_FOLDER = 50
NOTEBOOK = """# Databricks notebook source
# MAGIC %md
# MAGIC # Notebook {number}: a table refined a little further

# COMMAND ----------

dbutils.widgets.text("day", "2026-01-01")
day = dbutils.widgets.get("day")

# COMMAND ----------

rides = spark.table("rides").where(f"day = '{{day}}'")
display(rides.groupBy("station").count().orderBy("count"))
"""


class World:
    """Two services, and two projects with their stacks: the product's `test` and `prod`, the plain program's `plain`.

    Args:
        path: an empty folder for all of it.
        toolchain: the engine.
    """

    def __init__(self, path: Path, toolchain: Toolchain) -> None:
        self._home = Home(path / "rehearsal")
        processes.start(self._home)
        tokens = self._home.credentials.users
        (path / "backend").mkdir()
        clean = {key: value for key, value in os.environ.items() if not key.startswith(LEAKS)}
        self.environment = (
            clean
            | toolchain.environment(home=path / "pulumi")
            | {
                "PULUMI_BACKEND_URL": f"file://{path / 'backend'}",
                "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
                "AZDO_ORG_SERVICE_URL": self._home.organization_url,
                "AZDO_PERSONAL_ACCESS_TOKEN": tokens["azuredevops"]["administrator"],
                "DATABRICKS_HOST": self._home.workspace_host,
                "DATABRICKS_TOKEN": tokens["databricks"]["administrator"],
                "DATABRICKS_AUTH_TYPE": "pat",
            }
        )
        self.product = Project(path / "product", self.environment)
        self._plain = path / "plain"
        shutil.copytree(Path(__file__).parent / "plain", self._plain)
        (self._plain / ".venv").symlink_to(ROOT / ".venv")
        self._packaged = 0
        for stack in ("test", "prod", "plain"):
            self.pulumi(stack, "stack", "init", "--stack", stack)

    def close(self) -> None:
        """Ends the services."""
        processes.stop(self._home)

    def pulumi(self, stack: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Cost:
        """Runs `pulumi` in the project of the stack, and measures it.

        Raises:
            benchmarks.measure.CommandError: it failed.
        """
        folder = self._plain if stack == "plain" else self.product.path
        for service in SERVICES:
            processes.control(self._home, service, "DELETE", "requests")
        command = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        cost = run(command, folder, {**self.environment, **(environment or {})})
        return replace(cost, requests=sum(self._requests(service) for service in SERVICES))

    def delivery(self, *arguments: str, folder: Path | None = None) -> Cost:
        """Runs one of the pipelines' commands in the product's checkout, or in an artifact, and measures it.

        Raises:
            benchmarks.measure.CommandError: it failed.
        """
        # -B: a folder __pycache__ in an artifact is a difference.
        command = [sys.executable, "-B", "-m", "delivery", *arguments]
        return run(command, folder or self.product.path, self.environment)

    def python(self, code: str, *arguments: str, folder: Path) -> Cost:
        """Runs Python code in an artifact, and measures it; raises likewise."""
        return run([sys.executable, "-B", "-c", code, *arguments], folder, self.environment)

    def package(self) -> Path:
        """Commits what is there, and packages it; not measured."""
        self._packaged += 1
        artifact = self._home.path.parent / f"artifact-{self._packaged}"
        self.product.git("add", "--all")
        self.product.git("commit", "--quiet", "--allow-empty", "--message", artifact.name)
        self.delivery("package", "--output", str(artifact))
        return artifact

    def requests_of_busiest_client(self) -> int:
        """How many requests Databricks got in the last command from that of the provider's two clients that sent more.

        Notebooks are imported by the provider's own client, all else comes from that of Databricks' SDK
        (workspace/resource_notebook.go of the provider).
        """
        sent: list[dict[str, Any]] = processes.control(self._home, "databricks", "GET", "requests")
        imports = sum(1 for each in sent if each["path"].endswith("/workspace/import"))
        return max(imports, len(sent) - imports)

    def _requests(self, service: Service) -> int:
        sent: list[dict[str, Any]] = processes.control(self._home, service, "GET", "requests")
        return len(sent)

    def release(self, notebooks: int) -> None:
        """Puts so many generated notebooks, and no others, into what `prod` and `plain` deploy."""
        folder = self.product.path / "generated"
        shutil.rmtree(folder, ignore_errors=True)
        for number in range(notebooks):
            path = self._notebook(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(NOTEBOOK.format(number=number))

        def deploy_them(settings: dict[str, Any]) -> None:
            settings["notebooks"] = {"folder": "generated"}
            settings["jobOverrides"] = {"daily": None}  # its notebooks aren't there
            settings.setdefault("workspace", {})["protect"] = False

        self.product.settings("prod", deploy_them)
        self.pulumi("plain", "config", "set", "notebooks", str(folder), "--stack", "plain")

    def change(self) -> None:
        """Changes one notebook."""
        with self._notebook(0).open("a") as file:
            file.write("# changed\n")

    def limit(self, requests_per_second: int) -> None:
        """How many requests a second the product's Databricks client allows itself."""
        self.product.settings(
            "prod", lambda settings: settings.update(services={"databricksRequestsPerSecond": requests_per_second})
        )

    def _notebook(self, number: int) -> Path:
        area = f"area_{number // NOTEBOOKS_PER_FOLDER:02}"
        return self.product.path / "generated" / area / f"notebook_{number:03}.py"
