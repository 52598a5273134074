"""The tour's people at their browsers: each has one of their own, and does by clicks what they do by hand."""

import re
from contextlib import ExitStack
from typing import Any

from playwright.sync_api import Browser, Locator

from rehearsal.azuredevops import users as azuredevops
from rehearsal.databricks import users as databricks
from rehearsal.tour.people import RefusedError
from rehearsal.tour.team import PATIENCE, PROJECT, REPOSITORY, Team, TourError
from tests.pages.browsing import Person, signed_in

_PROJECT = f"/rehearsal/{PROJECT.replace(' ', '%20')}"
_REPOSITORY = f"{_PROJECT}/_git/{REPOSITORY}"
_ENDED = re.compile("Succeeded|Failed|Canceled|Partially succeeded")
_NAMES = {
    "azuredevops": {each.key: each.display_name for each in azuredevops.USERS},
    "databricks": {each.key: each.display_name for each in databricks.SEEDS},
}


class Browsers:
    """What `rehearsal.tour.people.Hands` asks for, on the services' pages.

    Args:
        browser: a running Chromium.
        team: knows where the services are; is asked for nothing else.
    """

    def __init__(self, browser: Browser, team: Team) -> None:
        self._browser = browser
        self._team = team
        self._open = ExitStack()
        self._people: dict[tuple[str, str], Person] = {}

    def close(self) -> None:
        """Closes the windows; fails when a page has loaded something from elsewhere."""
        self._open.close()

    def at_azure_devops(self, key: str) -> Person:
        """Somebody, signed in to Azure DevOps."""
        return self._signed_in("azuredevops", self._team.home.address("azuredevops"), key)

    def at_databricks(self, key: str) -> Person:
        """Somebody, signed in to the workspace."""
        return self._signed_in("databricks", self._team.home.workspace_host, key)

    def pull_request(self, key: str, number: int, tab: str = "overview") -> Person:
        """Somebody who looks at a pull request."""
        person = self.at_azure_devops(key)
        person.open(f"{_REPOSITORY}/pullrequest/{number}?_a={tab}")
        return person

    def run(self, key: str, number: int, view: str = "results") -> Person:
        """Somebody who looks at a run."""
        person = self.at_azure_devops(key)
        person.open(f"{_PROJECT}/_build/results?buildId={number}&view={view}")
        return person

    def queue(self, key: str, name: str) -> int:
        person = self.at_azure_devops(key)
        person.open(_PROJECT)
        person.follow("Pipelines")
        person.follow(name)
        person.page.locator("summary", has_text="Run pipeline").click()
        person.press("Run")
        return _number(person, r"buildId=(\d+)")

    def finished(self, number: int) -> None:
        # The page of a run that goes on loads itself again every few seconds.
        page = self.run("dana", number).page
        mark = page.locator("h1 .mark")
        mark.filter(has_text=_ENDED).wait_for(timeout=PATIENCE * 1000)
        if mark.inner_text() != "Succeeded":
            raise TourError(page.locator("main").inner_text())

    def open_pull_request(self, key: str, branch: str, title: str) -> int:
        person = self.at_azure_devops(key)
        person.open(f"{_REPOSITORY}/branches")
        with person.page.expect_navigation():
            person.page.get_by_role("row", name=branch).get_by_role("link", name="New pull request").click()
        person.page.get_by_label("Title").fill(title)
        person.press("Create")
        return _number(person, r"/pullrequest/(\d+)")

    def resolve(self, key: str, number: int, thread: int) -> None:
        person = self.pull_request(key, number)
        shown = person.page.locator(f"#thread-{thread}")
        shown.get_by_text("Reply or resolve").click()
        _press(person, shown, "Resolve")

    def vote(self, key: str, number: int) -> None:
        person = self.pull_request(key, number)
        _press(person, person.page.get_by_role("form", name="Your vote"), "Approve")

    def complete(self, key: str, number: int) -> None:
        person = self.pull_request(key, number)
        _press(person, person.page.locator("main"), "Complete")

    def decide(self, key: str, approval: Any, status: str, comment: str) -> None:
        person = self.run(key, int(approval["pipeline"]["owner"]["id"]))
        person.follow("Review")
        person.page.get_by_label("Comment").fill(comment)
        decision = person.page.get_by_role("form", name="Decision")
        _press(person, decision, {"approved": "Approve", "rejected": "Reject"}[status])

    def add_to_notebook(self, path: str, text: str) -> None:
        person = self.at_databricks("administrator")
        person.open(f"/browse{path}")
        person.follow("Edit")
        content = person.page.get_by_label("Content")
        content.fill(content.input_value() + text)
        person.press("Save")

    def _signed_in(self, service: str, root: str, key: str) -> Person:
        if (service, key) not in self._people:
            name = _NAMES[service][key]
            self._people[service, key] = self._open.enter_context(signed_in(self._browser, root, name))
        return self._people[service, key]


def _number(person: Person, pattern: str) -> int:
    """The number in the address that a form has led to."""
    found = re.search(pattern, person.page.url)
    if found is None:
        raise RefusedError(400, person.refusal or person.text())
    return int(found[1])


def _press(person: Person, place: Locator, name: str) -> None:
    """Presses a button there; what the service says no to is told as by its interface."""
    with person.page.expect_navigation():
        place.get_by_role("button", name=name, exact=True).click()
    if person.refusal:
        raise RefusedError(403, person.refusal)
