"""A stack's configuration with every key in it, and a project folder to go with it."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.settings import Settings, SettingsError, parse

ENVIRONMENT = {
    "AZDO_ORG_SERVICE_URL": "https://dev.azure.com/contoso",
    "DATABRICKS_HOST": "https://adb-1.2.azuredatabricks.net",
}
SERVICE_PRINCIPAL = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
DESTINATION = "0481e735-0a0b-4f6c-9b0e-3c5b0a9f5d11"

FULL: dict[str, Any] = {
    "environment": "test",
    "services": {
        "organizationUrl": "https://dev.azure.com/contoso",
        "workspaceHost": "https://adb-1.2.azuredatabricks.net",
        "databricksRequestsPerSecond": 20,
        "azureDevOpsAttempts": 3,
    },
    "controlPlane": {
        "project": {"name": "Bikes", "description": "All of it", "visibility": "private", "adopt": True},
        "repository": {"name": "notebooks", "defaultBranch": "trunk", "adopt": True},
        "review": {
            "minimumReviewers": 2,
            "requesterVoteCounts": True,
            "resetVotesOnPush": False,
            "resolveComments": False,
            "mergeTypes": ["squash", "rebase"],
            "linkedWorkItem": "optional",
            "requiredReviewers": [
                {"paths": ["/pipelines/*"], "reviewers": ["dana@example.com"], "minimum": 1, "message": "Ask Dana"}
            ],
        },
        "agents": {"image": "ubuntu-22.04"},
    },
    "gate": {
        "approvers": ["avery@example.com", "ari@example.com"],
        "minimumApprovals": 2,
        "requesterMayApprove": True,
        "timeoutHours": 24,
        "instructions": "Look first",
        "exclusiveLock": False,
        "onlyFromDefaultBranch": False,
        "businessHours": {"days": ["friday", "monday"], "start": "08:00", "end": "16:30", "timeZone": "UTC"},
    },
    "workspace": {
        "folder": "/bikes",
        "access": [
            {"group": "data-engineers", "level": "CAN_MANAGE"},
            {"user": "dana@example.com", "level": "CAN_RUN"},
            {"servicePrincipal": SERVICE_PRINCIPAL, "level": "CAN_EDIT"},
        ],
        "protect": True,
        "allowShared": False,
    },
    "notebooks": {"folder": "notebooks", "ignore": ["scratch/"]},
    "tests": {"folder": "suites", "ignore": ["old/"]},
    "jobs": {
        "daily": {
            "description": "Everything, every day",
            "parameters": {"city": "Vienna"},
            "tasks": {
                "load": {
                    "notebook": "load/trips",
                    "retries": 2,
                    "minRetryMinutes": 5,
                    "retryOnTimeout": True,
                    "timeoutMinutes": 10,
                    "parameters": {"day": "2024-05-01"},
                    "compute": "big",
                },
                "report": {"notebook": "report", "after": ["load"], "runIf": "ALL_DONE"},
            },
            "schedule": {"cron": "0 30 5 * * ?", "timeZone": "Europe/Berlin", "paused": True},
            "timeoutMinutes": 30,
            "warnAfterMinutes": 20,
            "maxConcurrentRuns": 2,
            "queue": False,
            "retries": 1,
            "minRetryMinutes": 1,
            "runAs": {"servicePrincipal": SERVICE_PRINCIPAL},
            "notify": {"emails": ["dana@example.com"], "webhooks": [DESTINATION]},
            "compute": "serverless",
            "clusters": {
                "big": {
                    "sparkVersion": "16.4.x-scala2.12",
                    "nodeType": "Standard_D4ds_v5",
                    "autoscale": {"min": 1, "max": 4},
                    "policy": "E05F30E06C006BBA",
                    "sparkConf": {"spark.sql.shuffle.partitions": "auto"},
                }
            },
            "tags": {"team": "bikes"},
            "access": [{"group": "data-analysts", "level": "CAN_VIEW"}],
        }
    },
    "jobOverrides": {
        "daily": {"tasks": {"check": {"notebook": "tests/functional", "after": ["report"]}}},
        "suite": {"notebook": "tests/functional"},
    },
    "jobDefaults": {"paused": True, "parameters": {"catalog": "test"}, "tags": {"cost": "4711"}},
}


def make_project(root: Path) -> Path:
    """A project folder with two notebooks and a file, and a suite of tests."""
    (root / "notebooks" / "load").mkdir(parents=True)
    (root / "notebooks" / "load" / "trips.py").write_text("# Databricks notebook source\nprint(1)\n")
    (root / "notebooks" / "report.sql").write_text("-- Databricks notebook source\nSELECT 1\n")
    (root / "notebooks" / "stations.csv").write_text("station\n")
    (root / "suites").mkdir()
    (root / "suites" / "functional.py").write_text("# Databricks notebook source\nprint(2)\n")
    return root


def changed(path: str, value: Any, base: Mapping[str, Any] = FULL) -> dict[str, Any]:
    """A copy of the configuration with another value at a path such as `workspace.access.0.level`."""
    result: dict[str, Any] = copy.deepcopy(dict(base))
    *parents, last = path.split(".")
    at: Any = result
    for parent in parents:
        at = at[int(parent)] if isinstance(at, list) else at[parent]
    at[int(last) if isinstance(at, list) else last] = value
    return result


def without(path: str, base: Mapping[str, Any] = FULL) -> dict[str, Any]:
    """A copy of the configuration without a key."""
    result: dict[str, Any] = copy.deepcopy(dict(base))
    *parents, last = path.split(".")
    at: Any = result
    for parent in parents:
        at = at[int(parent)] if isinstance(at, list) else at[parent]
    del at[last]
    return result


def mistakes(
    raw: Mapping[str, Any], root: Path, *, stack: str = "test", environment: Mapping[str, str] | None = None
) -> str:
    """The message about a configuration that must be refused."""
    try:
        settings: Settings = parse(
            raw, stack=stack, environment=ENVIRONMENT if environment is None else environment, root=root
        )
    except SettingsError as error:
        return str(error)
    raise AssertionError(f"accepted: {settings} for {json.dumps(raw, default=str)}")
