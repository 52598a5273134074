"""Passing faults: which they are, how long to wait, and that a repeated create never makes a second thing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import passing_faults
from components.sdk import azuredevops, databricks
from tests.components.conftest import Program
from tests.components.organization import Organization, served

TOKEN = "canary-77c0"
ENVIRONMENTS = "p/_apis/distributedtask/environments"
POLICIES = "p/_apis/policy/configurations"
RESERVED_NAMES = "db2b9b4c-180d-4529-9701-01541d19f36b"
ENVIRONMENT, PROJECT, POLICY, PERMISSIONS = (
    f"azuredevops:index/{kind[0].lower()}{kind[1:]}:{kind}"
    for kind in ("Environment", "Project", "RepositoryPolicyReservedNames", "GitPermissions")
)
BUSY = "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource 'Concurrency'."


@pytest.mark.parametrize(
    "message",
    [
        BUSY,
        "TF400898: An Internal Error Occurred. Activity Id: 8f1.",
        "Request returned status: 429 Too Many Requests",
        "Request returned status: 500 Internal Server Error",
        "Request returned status: 502 Bad Gateway",
        "Request returned status: 503 Service Unavailable",
        "Request returned status: 504 Gateway Timeout",
        "REST call returned status code 503",
        "REST call returned status code 429",
        "invalid character '<' looking for beginning of value",
        "unexpected end of JSON input",
        'Post "https://dev.azure.com/contoso": read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer',
        'Get "https://dev.azure.com/contoso/_apis": dial tcp 10.0.0.2:443: connect: connection refused',
        'Post "https://dev.azure.com/contoso": EOF',
        'Get "https://dev.azure.com/contoso": unexpected EOF',
        'Put "https://dev.azure.com/contoso": write tcp 10.0.0.1:1->10.0.0.2:443: write: broken pipe',
        'Get "https://dev.azure.com/contoso": net/http: TLS handshake timeout',
        'Get "https://dev.azure.com/contoso": context deadline exceeded',
        'Get "https://dev.azure.com/contoso": request canceled (Client.Timeout exceeded while awaiting headers)',
        'Get "https://dev.azure.com/contoso": net/http: timeout awaiting response headers',
        "http: server closed idle connection",
        "TF246017: Azure DevOps Server could not connect to the database.",
        "The service is temporarily unavailable, please try again later",
    ],
)
def test_what_passes_by_itself_is_known_as_such(message: str) -> None:
    assert passing_faults.is_passing(f"creating resource: {message}")


@pytest.mark.parametrize(
    "message",
    [
        "TF400813: The user '' is not authorized to access this resource.",
        "TF200019: The following project already exists on the Azure DevOps Server: Bikes.",
        "TF400948: A Git repository with the name bikes already exists.",
        "TF401027: You need the Git 'PolicyExempt' permission to perform this action.",
        "VS402962: The definition name build already exists.",
        "VS800075: The project with id 'vstfs:///Classification/TeamProject/1' does not exist",
        "Request returned status: 401 Unauthorized",
        "Request returned status: 404 Not Found",
        "REST call returned status code 400",
        "The environment name 'test' is in use in project 5031",
        "expected timeout to be in the range (1 - 43200), got 0",
        "",
    ],
)
def test_what_does_not_pass_by_itself_is_not_repeated(message: str) -> None:
    assert not passing_faults.is_passing(message)


def test_the_waits_grow_up_to_a_minute() -> None:
    assert [passing_faults.wait_seconds(failures) for failures in range(1, 10)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert passing_faults.wait_seconds(1000) == 60


class Rig:
    """The hooks as the program registers them, bound to an organisation on loopback."""

    def __init__(self, program: Program, organization: Organization, attempts: int = 4) -> None:
        self.organization = organization
        self._program, self._attempts = program, attempts
        self.restart()

    def restart(self) -> None:
        """What another `pulumi up` does: hooks of a new process."""
        url, attempts = self.organization.url, self._attempts
        recorded = self._program.part(lambda _: passing_faults.repeat_after_passing_faults(url, attempts))
        self._hooks = recorded.hooks

    def begin(self, kind: str, inputs: dict[str, Any]) -> None:
        """A create is about to be sent."""
        asyncio.run(self._hooks["look-before-create"](self._resource(kind, inputs)))

    def end(self, kind: str, inputs: dict[str, Any], made: str) -> None:
        """A create has ended well."""
        asyncio.run(self._hooks["note-after-create"](self._resource(kind, inputs, made)))

    def fail(self, kind: str, inputs: dict[str, Any], *errors: str, operation: str = "create") -> bool:
        """An operation has failed, with the newest error first; gives whether it is to be tried again."""
        args = pulumi.ErrorHookArgs(
            urn=f"urn:{kind}",
            id="",
            name="it",
            type=kind,
            new_inputs=inputs,
            failed_operation=operation,
            errors=list(errors),
        )
        return bool(asyncio.run(self._hooks["repeat-after-passing-fault"](args)))

    def _resource(self, kind: str, inputs: dict[str, Any], made: str = "") -> pulumi.ResourceHookArgs:
        return pulumi.ResourceHookArgs(urn=f"urn:{kind}", id=made, name="it", type=kind, new_inputs=inputs)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of the hooks, which pass at once."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        if seconds:  # Pulumi's own waits are of no seconds: they let others go on
            waited.append(seconds)

    monkeypatch.setattr("components.passing_faults.asyncio.sleep", wait)
    return waited


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    return told


@pytest.fixture
def rig(program: Program, monkeypatch: pytest.MonkeyPatch, waits: list[float], warnings: list[str]) -> Iterator[Rig]:
    monkeypatch.setenv("AZDO_PERSONAL_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served() as organization:
        organization.lists[ENVIRONMENTS] = []
        organization.lists[POLICIES] = []
        yield Rig(program, organization)


TEST = {"projectId": "p", "name": "test"}
NAMES = {"projectId": "p", "repositoryIds": ["r"]}


def policy(number: int, repository: str = "r") -> dict[str, Any]:
    return {"id": number, "type": {"id": RESERVED_NAMES}, "settings": {"scope": [{"repositoryId": repository}]}}


def test_the_wait_before_each_repetition_grows(rig: Rig, waits: list[float]) -> None:
    rig.begin(ENVIRONMENT, TEST)
    for failures in (1, 2, 3):
        assert rig.fail(ENVIRONMENT, TEST, *[BUSY] * failures)

    assert waits == [1, 2, 4]


def test_after_so_many_attempts_as_the_settings_say_the_failure_stands(rig: Rig) -> None:
    rig.begin(ENVIRONMENT, TEST)

    assert rig.fail(ENVIRONMENT, TEST, *[BUSY] * 3)
    assert not rig.fail(ENVIRONMENT, TEST, *[BUSY] * 4)


def test_a_failure_that_does_not_pass_stands_at_once_and_without_a_wait(rig: Rig, waits: list[float]) -> None:
    rig.begin(ENVIRONMENT, TEST)

    assert not rig.fail(ENVIRONMENT, TEST, "TF400813: not authorized", BUSY)
    assert waits == []


@pytest.mark.parametrize("operation", ["update", "delete"])
def test_updates_and_deletes_are_just_repeated(rig: Rig, waits: list[float], operation: str) -> None:
    assert rig.fail(ENVIRONMENT, TEST, BUSY, operation=operation)
    assert not rig.fail(ENVIRONMENT, TEST, "TF400813: not authorized", operation=operation)
    assert waits == [1]
    assert rig.organization.requests == []


def test_creates_that_set_something_are_just_repeated(rig: Rig) -> None:
    assert rig.fail(PERMISSIONS, {"projectId": "p"}, BUSY)
    assert rig.organization.requests == []


def test_a_create_that_had_not_succeeded_is_just_repeated(rig: Rig) -> None:
    rig.begin(ENVIRONMENT, TEST)

    assert rig.fail(ENVIRONMENT, TEST, BUSY)
    assert rig.organization.deleted() == []


def test_what_a_create_had_made_before_the_fault_is_removed_before_it_is_repeated(
    rig: Rig, warnings: list[str]
) -> None:
    rig.begin(ENVIRONMENT, TEST)
    rig.organization.lists[ENVIRONMENTS] = [{"id": 5, "name": "test"}, {"id": 6, "name": "other"}]

    assert rig.fail(ENVIRONMENT, TEST, "unexpected EOF")

    assert rig.organization.deleted() == [f"{ENVIRONMENTS}/5"]
    assert rig.organization.lists[ENVIRONMENTS] == [{"id": 6, "name": "other"}]
    assert warnings == ["removing an environment 'test' in that project (5), which an interrupted create has left"]


def test_nothing_is_removed_that_was_there_before(rig: Rig) -> None:
    rig.organization.lists[POLICIES] = [policy(1)]
    rig.begin(POLICY, NAMES)
    rig.organization.lists[POLICIES] = [policy(1), policy(2), policy(3, "another repository")]

    assert rig.fail(POLICY, NAMES, BUSY)

    assert rig.organization.deleted() == [f"{POLICIES}/2"]


def test_a_thing_of_a_taken_name_is_refused_with_the_choices_that_there_are(rig: Rig) -> None:
    rig.organization.lists[ENVIRONMENTS] = [{"id": 5, "name": "TEST"}]

    with pytest.raises(RuntimeError) as caught:
        rig.begin(ENVIRONMENT, TEST)

    message = str(caught.value)
    assert "Azure DevOps has an environment 'test' in that project already, and this stack doesn't manage it" in message
    assert "adopt: true" in message
    assert f"`pulumi import {ENVIRONMENT} it ID`" in message
    assert rig.organization.deleted() == []


def test_a_killed_run_is_cleared_up_by_the_next(rig: Rig, warnings: list[str]) -> None:
    rig.begin(ENVIRONMENT, TEST)
    rig.organization.lists[ENVIRONMENTS] = [{"id": 5, "name": "test"}]
    rig.restart()

    rig.begin(ENVIRONMENT, TEST)

    assert rig.organization.deleted() == [f"{ENVIRONMENTS}/5"]
    assert len(warnings) == 1


def test_of_a_create_that_ended_well_what_it_made_is_removed_and_nothing_else(rig: Rig) -> None:
    """The process died before the state was written: else the engine would not create the resource once more."""
    rig.begin(POLICY, NAMES)
    rig.end(POLICY, NAMES, made="1")
    rig.organization.lists[POLICIES] = [policy(1), policy(2)]
    rig.restart()

    rig.begin(POLICY, NAMES)

    assert rig.organization.deleted() == [f"{POLICIES}/1"]


def test_a_note_older_than_a_day_is_not_trusted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("components.unfinished.time.time", lambda: now)
    rig.begin(POLICY, NAMES)
    rig.organization.lists[POLICIES] = [policy(1)]
    monkeypatch.setattr("components.unfinished.time.time", lambda: now + 24 * 3600 + 1)

    rig.begin(POLICY, NAMES)

    assert rig.organization.deleted() == []


def test_what_somebody_makes_after_a_failure_was_cleared_up_is_left_alone(rig: Rig) -> None:
    rig.begin(ENVIRONMENT, TEST)
    assert not rig.fail(ENVIRONMENT, TEST, *[BUSY] * 4)
    rig.organization.lists[ENVIRONMENTS] = [{"id": 9, "name": "test"}]
    rig.restart()

    with pytest.raises(RuntimeError, match="this stack doesn't manage it"):
        rig.begin(ENVIRONMENT, TEST)
    assert rig.organization.deleted() == []


def test_without_a_token_a_create_is_not_repeated_and_the_user_hears_what_to_do(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    monkeypatch.delenv("AZDO_PERSONAL_ACCESS_TOKEN")
    rig.begin(ENVIRONMENT, TEST)

    assert not rig.fail(ENVIRONMENT, TEST, BUSY)

    (warning,) = warnings
    assert "it is not tried again" in warning
    assert "AZDO_PERSONAL_ACCESS_TOKEN" in warning
    assert rig.organization.requests == []


def test_without_a_token_a_failure_that_does_not_pass_is_shown_alone(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    monkeypatch.delenv("AZDO_PERSONAL_ACCESS_TOKEN")
    rig.begin(ENVIRONMENT, TEST)

    assert not rig.fail(ENVIRONMENT, TEST, "TF400813: not authorized")
    assert warnings == []


def test_when_the_service_cannot_be_looked_at_the_create_is_not_repeated(rig: Rig, warnings: list[str]) -> None:
    rig.begin(ENVIRONMENT, TEST)
    rig.organization.fail_next = [403]

    assert not rig.fail(ENVIRONMENT, TEST, BUSY)
    assert "what is left of it could not be looked for: 403" in warnings[0]


def test_a_repository_with_branches_is_never_removed(rig: Rig, warnings: list[str]) -> None:
    git = "azuredevops:index/git:Git"
    inputs = {"projectId": "p", "name": "bikes"}
    rig.organization.lists["p/_apis/git/repositories"] = []
    rig.begin(git, inputs)
    rig.organization.lists["p/_apis/git/repositories"] = [{"id": "r1", "name": "bikes"}]
    rig.organization.lists["p/_apis/git/repositories/r1/refs"] = [{"name": "refs/heads/main"}]

    assert not rig.fail(git, inputs, BUSY)

    assert rig.organization.deleted() == []
    assert "repository r1 has branches; it is not removed" in " ".join(warnings)


def test_the_token_is_sent_to_the_organisation_and_written_nowhere(
    rig: Rig, warnings: list[str], tmp_path: Path
) -> None:
    rig.begin(ENVIRONMENT, TEST)
    rig.organization.fail_next = [403]
    rig.fail(ENVIRONMENT, TEST, BUSY)

    assert rig.organization.tokens == {TOKEN}
    notes = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.json")]
    assert notes
    assert TOKEN not in "".join([*notes, *warnings])


def test_the_hooks_are_on_every_azure_devops_resource_and_on_no_other(program: Program) -> None:
    class Area(pulumi.ComponentResource):
        def __init__(self, opts: pulumi.ResourceOptions) -> None:
            super().__init__("databricks-cicd:test:Area", "area", None, opts)
            child = pulumi.ResourceOptions(parent=self)
            azuredevops.Environment("environment", project_id="p", opts=child)
            azuredevops.GitPermissions("permissions", project_id="p", principal="x", permissions={}, opts=child)
            databricks.Directory("directory", path="/x", opts=child)

    def make(opts: pulumi.ResourceOptions) -> None:
        passing_faults.repeat_after_passing_faults("https://dev.azure.com/contoso", 3)
        Area(opts)

    recorded = program.part(make)

    on_error = {"on_error": ("repeat-after-passing-fault",)}
    around = {"before_create": ("look-before-create",), "after_create": ("note-after-create",)}
    assert recorded.named("environment").hooks == {**around, **on_error}
    assert recorded.named("permissions").hooks == on_error
    assert recorded.named("directory").hooks == {}
