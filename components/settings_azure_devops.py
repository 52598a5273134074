"""The settings about Azure DevOps: control plane and gate. Their keys, defaults and rules."""

import re
from typing import Literal, cast

from components import naming
from components.settings_model import (
    Agents,
    BusinessHours,
    ControlPlane,
    Gate,
    Project,
    Repository,
    RequiredReviewers,
    Review,
)
from components.settings_reading import Phrase, Section, did_you_mean, matches
from components.settings_time_zones import WINDOWS_TIME_ZONES

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MERGE_TYPES = ("squash", "rebase", "rebaseMerge", "merge")
# The provider takes at most 43200 minutes for an approval, which is the service's own limit of 30 days.
APPROVAL_HOURS = 30 * 24

# What Azure DevOps refuses in the name of a project
# (https://learn.microsoft.com/azure/devops/organizations/settings/naming-restrictions).
PROJECT_NAME = re.compile(r"(?![_.])[^\\/:*?\"<>;#$*{},+=\[\]|\x00-\x1f]{1,64}(?<![. ])")
NAME_RULE = (
    'a name of at most 64 characters, without \\ / : * ? " < > ; # $ { } , + = [ ] |, and without a dot or underscore '
    "in front or a dot at the end"
)
# What git refuses in the name of a branch (git-check-ref-format), a little stricter.
BRANCH_NAME = re.compile(
    r"(?!refs/)(?!.*(\.\.|//|@\{|\.lock(/|$)))(?![-/.])[^\s~^:?*\[\\\x00-\x1f\x7f]{1,200}(?<![/.])"
)
# Azure Pipelines takes any name of a pool; of the hosted images only the form is checked, since they come and go.
IMAGE_NAME = re.compile(r"[a-z]+-[a-z0-9.-]+")
HOUR = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def control_plane(section: Section) -> ControlPlane:
    """The project, the repository, the review of pull requests and the agents."""
    result = ControlPlane(
        project=_project(section.section("project", {"name": naming.PROJECT})),
        repository=_repository(section.section("repository", {"name": naming.REPOSITORY})),
        review=_review(section.section("review", {"minimumReviewers": 1})),
        agents=_agents(section.section("agents", {"image": "ubuntu-latest"})),
    )
    section.close()
    return result


def _project(section: Section) -> Project:
    result = Project(
        name=section.text(
            "name",
            default=naming.PROJECT,
            allowed=NAME_RULE,
            example=naming.PROJECT,
            check=matches(PROJECT_NAME),
        ),
        description=section.text(
            "description",
            default="CI/CD of Databricks notebooks. Declared with Pulumi: changes by hand are undone.",
            allowed="a text",
            example="CI/CD of our notebooks",
            check=lambda _: True,
        ),
        visibility=cast(
            Literal["private", "public"], section.choice("visibility", ("private", "public"), default="private")
        ),
        adopt=section.flag("adopt", default=False),
    )
    section.close()
    return result


def _repository(section: Section) -> Repository:
    result = Repository(
        name=section.text(
            "name",
            default=naming.REPOSITORY,
            allowed=NAME_RULE,
            example=naming.REPOSITORY,
            check=matches(PROJECT_NAME),
        ),
        default_branch=section.text(
            "defaultBranch",
            default=naming.DEFAULT_BRANCH,
            allowed="the short name of a branch, such as main (not refs/heads/main)",
            example=naming.DEFAULT_BRANCH,
            check=matches(BRANCH_NAME),
        ),
        adopt=section.flag("adopt", default=False),
    )
    section.close()
    return result


def _review(section: Section) -> Review:
    if section.values.get("linkedWorkItem") is False:
        # YAML 1.1 reads an unquoted `off` as false.
        section.values = {**section.values, "linkedWorkItem": "off"}
    merge_types = section.texts(
        "mergeTypes",
        allowed="a list with at least one of " + ", ".join(MERGE_TYPES),
        example=["squash"],
        check=MERGE_TYPES.__contains__,
    )
    if section.values.get("mergeTypes") == []:
        section.refuse("mergeTypes", allowed="at least one of " + ", ".join(MERGE_TYPES), example=["squash"])
    example = [{"paths": ["/pipelines/*"], "reviewers": ["somebody@example.com"]}]
    result = Review(
        minimum_reviewers=section.number("minimumReviewers", default=1, least=1, most=10),
        requester_vote_counts=section.flag("requesterVoteCounts", default=False),
        reset_votes_on_push=section.flag("resetVotesOnPush", default=True),
        resolve_comments=section.flag("resolveComments", default=True),
        merge_types=cast(tuple[Literal["squash", "rebase", "rebaseMerge", "merge"], ...], merge_types or ("squash",)),
        linked_work_item=cast(
            Literal["off", "optional", "required"],
            section.choice("linkedWorkItem", ("off", "optional", "required"), default="off"),
        ),
        required_reviewers=tuple(
            _required_reviewers(entry)
            for entry in section.sections("requiredReviewers", allowed="a list of mappings", example=example)
        ),
    )
    section.close()
    return result


def _required_reviewers(section: Section) -> RequiredReviewers:
    paths = section.texts(
        "paths",
        allowed="a list of paths that start with / (or !/ to leave out), such as /pipelines/*",
        example=["/pipelines/*"],
        check=lambda path: path.startswith(("/", "!/")),
    )
    reviewers = section.texts(
        "reviewers",
        allowed="a list of principal names: user@domain, or the name of a group",
        example=["somebody@example.com"],
        fold=True,
    )
    for name, found in (("paths", paths), ("reviewers", reviewers)):
        if not found and section.values.get(name, []) == []:
            section.refuse(
                name,
                found=Phrase("nothing" if name not in section.values else "[] (an empty list)"),
                allowed="a list that isn't empty",
                remedy=f"add {name} to {section.path} in Pulumi.{section.problems.stack}.yaml, or take the entry out",
            )
    result = RequiredReviewers(
        paths=paths,
        reviewers=reviewers,
        minimum=section.number("minimum", default=1, least=1, most=10),
        message=section.text("message", default="", allowed="a text", example="Ask the owners", check=lambda _: True),
    )
    section.close()
    return result


def _agents(section: Section) -> Agents:
    pool = section.optional("pool", allowed="the name of an agent pool", example="Default")
    image = section.optional(
        "image",
        allowed="the name of a Microsoft-hosted image, such as ubuntu-latest",
        example="ubuntu-latest",
        check=matches(IMAGE_NAME),
    )
    if "pool" in section.values and "image" in section.values:
        section.refuse(
            "pool",
            found=Phrase("both image and pool"),
            allowed="image (Microsoft-hosted agents) or pool (agents of your own)",
            remedy=section.problems.how_to_remove(section.at("image")) + "\nor the same with pool",
        )
    section.close()
    return Agents(image=image if image or pool else "ubuntu-latest", pool=pool)


def gate(section: Section) -> tuple[Gate, list[str]]:
    """The checks on the environment, and warnings about settings that have no effect."""
    named = "approvers" in section.values
    approvers = section.texts(
        "approvers",
        allowed="a list of principal names: user@domain, or the name of an Azure DevOps group",
        example=["somebody@example.com"],
        fold=True,
    )
    if named and section.values["approvers"] == []:
        section.refuse(
            "approvers",
            found=Phrase("[] (an empty list)"),
            allowed="at least one approver; for continuous deployment (nobody is asked) leave the key out",
            remedy=section.problems.how_to_set(section.at("approvers"), ["somebody@example.com"])
            + f"or: {section.problems.how_to_remove(section.at('approvers'))}",
        )
    minimum = section.number("minimumApprovals", default=1, least=1, most=100)
    only_users = all("@" in approver for approver in approvers)
    if approvers and only_users and minimum > len(approvers):
        section.refuse(
            "minimumApprovals",
            found=Phrase(f"{minimum}, with {len(approvers)} in approvers"),
            allowed=f"a whole number from 1 to {len(approvers)}: no more approvals than approvers",
            example=len(approvers),
        )
    result = Gate(
        approvers=approvers,
        minimum_approvals=minimum,
        requester_may_approve=section.flag("requesterMayApprove", default=False),
        timeout_hours=section.number("timeoutHours", default=72, least=1, most=APPROVAL_HOURS, unit="hours"),
        instructions=section.text(
            "instructions",
            default="Read the summary of the run and the test results before you approve.",
            allowed="a text",
            example="Read the test results first",
            check=lambda _: True,
        ),
        exclusive_lock=section.flag("exclusiveLock", default=True),
        only_from_default_branch=section.flag("onlyFromDefaultBranch", default=True),
        business_hours=_business_hours(section.section("businessHours", BUSINESS_HOURS))
        if section.has("businessHours")
        else None,
    )
    section.close()
    idle = [key for key in ("minimumApprovals", "requesterMayApprove", "instructions") if key in section.values]
    warnings = [] if named else [f"{section.key(key)} has no effect: there are no approvers" for key in idle]
    return result, warnings


BUSINESS_HOURS = {
    "days": list(DAYS[:5]),
    "start": "09:00",
    "end": "17:00",
    "timeZone": "W. Europe Standard Time",
}


def _business_hours(section: Section) -> BusinessHours:
    days = section.texts(
        "days",
        allowed="a list with at least one of " + ", ".join(DAYS),
        example=list(DAYS[:5]),
        check=DAYS.__contains__,
    )
    if section.values.get("days", []) == []:
        section.refuse(
            "days",
            found=Phrase("no day"),
            allowed="a list with at least one of " + ", ".join(DAYS),
            example=list(DAYS[:5]),
        )
    hours = {
        name: section.text(
            name,
            allowed="a time from 00:00 to 23:59, with both digits of the hour, in quotes",
            example=example,
            check=matches(HOUR),
        )
        for name, example in (("start", "09:00"), ("end", "17:00"))
    }
    if all(hours.values()) and hours["start"] >= hours["end"]:
        # Whether the service takes hours over midnight isn't documented.
        section.refuse("end", allowed=f"a time after the start, {hours['start']}", example="17:00")
    zone = section.values.get("timeZone")
    guess = did_you_mean(zone, WINDOWS_TIME_ZONES) if isinstance(zone, str) else None
    result = BusinessHours(
        days=tuple(day for day in DAYS if day in days),
        start=hours["start"],
        end=hours["end"],
        time_zone=section.text(
            "timeZone",
            allowed="a time zone by its Windows name, such as 'UTC', 'W. Europe Standard Time' or 'Eastern Standard "
            "Time' (Azure DevOps knows no IANA names here; `tzutil /l` lists them)",
            example=guess or "W. Europe Standard Time",
            check=WINDOWS_TIME_ZONES.__contains__,
        ),
    )
    section.close()
    return result
