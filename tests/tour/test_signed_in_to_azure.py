"""The pipelines sign in to Azure with service connections, and have no other way to the workspace and to the state.

One small project, brought up with Azure (`make rehearsal-azure`): a pull request names the connections, is merged, and
its release goes to production. `az` is Microsoft's; engine, providers and clients are the real ones. The state is in
Blob Storage, where the administrator has the account's key and each application a role.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal import openid, processes
from rehearsal.azure import blobs
from rehearsal.databricks.users import SEEDS
from rehearsal.tour.team import PROJECT, until
from tests.tour import canary
from tests.tour.changes import content
from tests.tour.company import Company, brought_up
from tests.tour.small import NOTEBOOK, PRODUCTION, TEST

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

TOKEN = b"eyJhbGciOiJSUzI1NiI"  # what each JSON Web Token of the rehearsal begins with
SETTINGS = "pipelines/settings/variables.yml"
IDS = {seed.key: seed.name for seed in SEEDS}
# The step that asks the workspace -> who it signs in as.
RELEASE = {
    "Deploy": IDS["deployer-test"],
    "Run the suites in the test environment": IDS["deployer-test"],
    "Deploy what was tested": IDS["deployer-production"],
    "Smoke test": IDS["deployer-production"],
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The project as the program makes it; nothing is built yet."""
    with brought_up(tmp_path_factory.mktemp("azure"), "--azure") as made:
        yield made


@pytest.fixture(scope="module")
def pull_request(company: Company) -> int:
    """Dana does what `make rehearsal-azure` says at its end, and changes a notebook."""

    def connected(text: str) -> str:
        changed, number = re.subn(r'(\w+)ServiceConnection: ""', r"\1ServiceConnection: azure-\1", text)
        assert number == 3
        return changed

    processes.control(company.home, "azure", "DELETE", "requests")
    edits = {SETTINGS: connected, NOTEBOOK: content("# Fares", "# Fares in euros")}
    return company.propose("dana", "azure", edits)


@pytest.fixture(scope="module")
def release(company: Company, pull_request: int) -> int:
    """The release of the merge, in production."""
    company.approved_build(pull_request)
    company.vote("devin", pull_request)
    last = max(company.runs_after("build", 0))
    company.complete("dana", pull_request)
    build = until(lambda: next(iter(company.runs_after("build", last)), None), "the build of the merge")
    company.finished(build)
    number = company.release_of(build)
    company.decide("ari", company.approval(number), "approved", "Signed in.")
    company.finished(number)
    return number


def logs(company: Company, run: int) -> list[tuple[str, str]]:
    """The steps of a run that have a log, and these."""
    steps = [each for each in company.records(run) if each["type"] == "Task" and each.get("log")]
    ask = company.person("dana").ask
    return [(each["name"], str(ask("GET", f"_apis/build/builds/{run}/logs/{each['log']['id']}"))) for each in steps]


def signed_in(company: Company, run: int) -> list[tuple[str, str]]:
    """The steps of a run that signed in to Azure, and who each was."""
    login = re.compile(r"az login --service-principal --username (\S+)")
    return [(name, who) for name, log in logs(company, run) for who in login.findall(log)]


def asked_of_the_state(company: Company) -> set[tuple[str, bool]]:
    """How Blob Storage was asked since its requests were forgotten, and whether it answered with what was wanted."""
    found = processes.control(company.home, "azure", "GET", "requests")
    told = [each for each in found if each["path"].startswith(f"/{blobs.CONTAINER}")]
    # That something isn't there is an answer, too.
    return {(each["method"], each["status"] < 400 or each["status"] == 404) for each in told}


def test_no_variable_group_holds_a_way_into_the_workspace_or_to_the_state(company: Company) -> None:
    groups: Any = company.person("administrator").ask("GET", "_apis/distributedtask/variablegroups")["value"]
    assert len(groups) == 3
    for each in groups:
        assert each["variables"]["DATABRICKS_AUTH_TYPE"]["value"] == "azure-cli"
        assert each["variables"]["PULUMI_BACKEND_URL"]["value"] == blobs.BACKEND
        secret = {name for name, variable in each["variables"].items() if variable.get("isSecret")}
        assert secret == {"PULUMI_CONFIG_PASSPHRASE"}


def test_a_pull_request_is_previewed_by_who_may_only_look(company: Company, pull_request: int) -> None:
    build = company.approved_build(pull_request)
    assert asked_of_the_state(company) <= {("GET", True), ("HEAD", True)}
    assert ("GET", True) in asked_of_the_state(company)
    assert signed_in(company, build) == [("Preview of test and production", IDS["previewer"])]
    [thread] = company.threads(pull_request)
    assert "+# Fares in euros" in thread["comments"][0]["content"]


def test_a_release_signs_in_to_each_environment_as_who_deploys_there(company: Company, release: int) -> None:
    assert dict(signed_in(company, release)) == RELEASE
    records = [company.recorded(folder) for folder in (TEST, PRODUCTION)]
    assert [each["state"] for each in records] == ["deployed", "deployed"]
    assert records[0]["current"]["digest"] == records[1]["current"]["digest"]


def test_the_nightly_comparison_signs_in_too(company: Company, release: int) -> None:
    assert release
    number = company.queue("dana", "drift")
    company.finished(number)
    assert {who for _, who in signed_in(company, number)} == {IDS["deployer-test"], IDS["deployer-production"]}


def test_no_token_and_no_key_is_anywhere(company: Company, release: int) -> None:
    assert release
    key = (company.home.azure / "storage.key").read_text()
    search, tokens, kinds = canary.Search([key]), [], set()
    for place in canary.places(company):
        if place.name != "azure/storage.key":
            search.look(place)
            kinds.add(place.kind)
            tokens += [place.name] if TOKEN in place.content else []
    assert search.found == {}
    assert tokens == []
    assert kinds >= {"artifact", "comment", "database", "file", "git", "log", "page", "state"}
    signed = openid.Issuer().signed({"aud": "somebody"})
    assert TOKEN in signed.encode(), "it would be found"


def test_a_release_that_no_application_trusts_any_more_says_what_would_have_to_be_trusted(
    company: Company, release: int
) -> None:
    before = company.recorded(TEST)
    applications = company.home.azure / "applications.json"
    trusted = applications.read_text()
    applications.write_text(trusted.replace("/azure-test", "/azure-of-another-project"))
    try:
        number = company.release("dana", build=company.run(release)["triggeredByBuild"]["id"])
        company.stopped(number)
    finally:
        applications.write_text(trusted)
    log = company.run_page(number, view="logs")
    assert "AADSTS700213: No matching federated identity record" in log
    assert f"'sc://rehearsal/{PROJECT}/azure-test'" in log
    assert company.recorded(TEST) == before
