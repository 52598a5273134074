"""How the policies of the target branch stand for a pull request, each by its own rule.

https://learn.microsoft.com/azure/devops/repos/git/branch-policies says the rules, and
https://learn.microsoft.com/dotnet/api/microsoft.teamfoundation.policy.webapi.policyevaluationstatus the states: what
waits for votes is queued, not running.
"""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rehearsal.azuredevops import identities, policy
from rehearsal.azuredevops.context import Service, new_id, now
from rehearsal.azuredevops.pull_requests import builds, documents
from rehearsal.store import Document, Store

State: TypeAlias = Literal["queued", "running", "approved", "rejected", "notApplicable", "broken"]
OPEN_THREAD = ("active", "pending")


@dataclass(frozen=True)
class Verdict:
    """How a policy stands.

    Args:
        state: the service's word.
        reason: why it isn't approved. The service's own words aren't documented, save those of a build.
        context: what clients are told besides.
    """

    state: State
    reason: str = ""
    context: Document = field(default_factory=dict)


def configurations(store: Store, repository: Document, ref: str) -> list[Document]:
    """The policies that are switched on for a branch, those that only advise too."""
    return [
        each
        for each in store.all("policy", f"{repository['project']}/")
        if each["isEnabled"] and policy.TYPES[each["type"]].on_branch and policy.applies(each, repository, ref)
    ]


def evaluate(service: Service, pull: Document) -> list[Document]:
    """Looks at every policy again and keeps what comes out; builds that are due are queued.

    Returns:
        The evaluations, in the order of the policies.
    """
    repository = documents.repository_of(service.store, pull)
    if repository is None:
        return []
    if pull["status"] != "active":
        # What stood at the end stays.
        return documents.evaluations(service.store, pull)
    wanted = configurations(service.store, repository, pull["target"])
    ids = {each["id"] for each in wanted}
    for each in documents.evaluations(service.store, pull):
        if each["configuration"] not in ids:
            service.store.delete("policy-evaluation", documents.evaluation_key(pull, each["configuration"]))
    paths = documents.changed_paths(documents.git_of(service, pull), pull)
    return [_evaluate(service, pull, each, paths) for each in wanted]


def _evaluate(service: Service, pull: Document, configuration: Document, paths: list[str]) -> Document:
    place = documents.evaluation_key(pull, configuration["id"])
    kept = service.store.get("policy-evaluation", place) or {
        "id": new_id(),
        "project": pull["project"],
        "pullRequest": pull["id"],
        "configuration": configuration["id"],
        "startedDate": now(),
        "completedDate": None,
        "context": {},
    }
    before = dict(kept)
    if not matches(configuration["settings"].get("filenamePatterns"), paths):
        verdict = Verdict("notApplicable")
    elif configuration["type"] == policy.BUILD_VALIDATION:
        state, reason = builds.advance(service, pull, configuration, kept)
        verdict = Verdict(state, reason, kept["context"])
    else:
        verdict = _RULES[configuration["type"]](service.store, pull, configuration)
    done = verdict.state in ("approved", "rejected", "notApplicable", "broken")
    kept |= {"status": verdict.state, "reason": verdict.reason, "context": verdict.context}
    kept["blocking"] = configuration["isBlocking"]
    kept["completedDate"] = (before["completedDate"] or now()) if done else None
    if kept != before:
        service.store.put("policy-evaluation", place, kept)
    return kept


def matches(patterns: list[str] | None, paths: list[str]) -> bool:
    """Whether a policy that filters by path concerns this change.

    Patterns are read in order, a later one wins; `!` excludes, `*` stands for any text.
    https://learn.microsoft.com/azure/devops/repos/git/branch-policies#path-filters
    """
    if not patterns:
        return True
    return any(_included(path.casefold(), patterns) for path in paths)


def _included(path: str, patterns: list[str]) -> bool:
    # Where the first pattern excludes, everything else is meant.
    included = patterns[0].startswith("!")
    for pattern in patterns:
        wanted = pattern.removeprefix("!").casefold()
        folder = wanted.rstrip("/") + "/"
        if fnmatch.fnmatchcase(path, wanted) or ("*" not in wanted and path.startswith(folder)):
            included = not pattern.startswith("!")
    return included


def votes_that_count(pull: Document, settings: Document) -> list[Document]:
    """The approvals that a policy counts: not the author's own, unless it says so, nor the last pusher's."""
    barred = set()
    if not settings.get("creatorVoteCounts"):
        barred.add(pull["createdBy"])
    if settings.get("blockLastPusherVote"):
        barred.add(pull["iterations"][-1]["author"])
    return [each for each in pull["reviewers"] if each["vote"] > documents.NO_VOTE and each["id"] not in barred]


def _people(store: Store, votes: list[Document]) -> list[Document]:
    """The votes without those of groups: a group's is that of a member, who counts already."""
    return [each for each in votes if (store.get("identity", each["id"]) or {}).get("kind") != "group"]


def _minimum_reviewers(store: Store, pull: Document, configuration: Document) -> Verdict:
    settings = configuration["settings"]
    wanted = settings["minimumApproverCount"]
    against = [each for each in pull["reviewers"] if each["vote"] < documents.NO_VOTE]
    if against and not settings.get("allowDownvotes"):
        return Verdict("rejected", f"{_name(store, against[0]['id'])} {_objection(against[0])}.")
    votes = _people(store, votes_that_count(pull, settings))
    if len(votes) < wanted:
        needed = f"At least {wanted} reviewer{'' if wanted == 1 else 's'} must approve; {len(votes)} did."
        return Verdict("queued", needed + _uncounted(store, pull, settings))
    approved = {iteration for each in votes for iteration in each["approvedOn"]}
    last = len(pull["iterations"])
    if settings.get("requireVoteOnLastIteration") and last not in approved:
        return Verdict("queued", "The last changes must be approved by a reviewer.")
    if settings.get("requireVoteOnEachIteration") and len(approved) < last:
        return Verdict("queued", "Every change must be approved by a reviewer.")
    return Verdict("approved")


def _objection(reviewer: Document) -> str:
    return "has rejected the changes" if reviewer["vote"] == documents.REJECTED else "waits for the author"


def _uncounted(store: Store, pull: Document, settings: Document) -> str:
    counted = {each["id"] for each in votes_that_count(pull, settings)}
    others = [
        each["id"] for each in pull["reviewers"] if each["vote"] > documents.NO_VOTE and each["id"] not in counted
    ]
    names = [_name(store, each) for each in others if (store.get("identity", each) or {}).get("kind") != "group"]
    return f" The vote of {', '.join(names)} does not count." if names else ""


def _name(store: Store, id_: str) -> str:
    return str((store.get("identity", id_) or {}).get("displayName", id_))


def _required_reviewers(store: Store, pull: Document, configuration: Document) -> Verdict:
    settings = configuration["settings"]
    # One policy has one number for all it names, which a group's members can reach together.
    votes = _people(store, votes_that_count(pull, settings))
    approvers = {each["id"]: identities.closure(store, each["id"]) for each in votes}
    missing = []
    for id_ in settings["requiredReviewerIds"]:
        is_group = (store.get("identity", str(id_)) or {}).get("kind") == "group"
        wanted = max(int(settings.get("minimumApproverCount") or 1), 1) if is_group else 1
        refusing = documents.reviewer(pull, str(id_))
        if refusing is not None and refusing["vote"] == documents.REJECTED:
            return Verdict("rejected", f"{_name(store, str(id_))} has rejected the changes.")
        if sum(str(id_) in groups for groups in approvers.values()) < wanted:
            missing.append(_name(store, str(id_)))
    if missing:
        return Verdict("queued", f"{', '.join(missing)} must approve.")
    return Verdict("approved")


def _comments(store: Store, pull: Document, _configuration: Document) -> Verdict:
    left = sum(each["status"] in OPEN_THREAD and not each["isDeleted"] for each in documents.threads(store, pull))
    if left:
        return Verdict("rejected", f"All comments must be resolved; {left} {'is' if left == 1 else 'are'} active.")
    return Verdict("approved")


def _work_items(_store: Store, pull: Document, _configuration: Document) -> Verdict:
    return Verdict("approved") if pull["workItems"] else Verdict("rejected", "Work items must be linked.")


def allowed_strategies(settings: Document) -> list[str]:
    """The merge strategies that the policy lets through, the one that is taken by default first."""
    names = {
        "allowNoFastForward": "noFastForward",
        "allowSquash": "squash",
        "useSquashMerge": "squash",
        "allowRebase": "rebase",
        "allowRebaseMerge": "rebaseMerge",
    }
    return list(dict.fromkeys(value for name, value in names.items() if settings.get(name)))


def _merge_strategy(_store: Store, pull: Document, configuration: Document) -> Verdict:
    allowed = allowed_strategies(configuration["settings"])
    chosen = (pull["completionOptions"] or {}).get("mergeStrategy")
    if chosen is None or chosen in allowed:
        return Verdict("approved")
    return Verdict("rejected", f"The merge strategy {chosen} is not allowed; allowed: {', '.join(allowed)}.")


def status_name(settings: Document) -> str:
    """Name and genre of the status that a status policy waits for, as people see them."""
    genre = settings.get("statusGenre")
    return f"{genre}/{settings['statusName']}" if genre else str(settings["statusName"])


def _status(store: Store, pull: Document, configuration: Document) -> Verdict:
    settings = configuration["settings"]
    found = [
        each
        for each in documents.statuses(store, pull)
        if each["context"].get("name") == settings["statusName"]
        and (each["context"].get("genre") or None) == (settings.get("statusGenre") or None)
        and settings.get("authorId") in (None, "", each["createdBy"])
    ]
    if settings.get("invalidateOnSourceUpdate"):
        found = [each for each in found if each["iterationId"] == len(pull["iterations"])]
    name = status_name(settings)
    if not found:
        conditional = settings.get("policyApplicability") in ("conditional", 1)
        return Verdict("notApplicable") if conditional else Verdict("queued", f"The status {name} is awaited.")
    states: dict[str, State] = {"succeeded": "approved", "notApplicable": "notApplicable", "pending": "running"}
    state = states.get(found[-1]["state"], "queued" if found[-1]["state"] == "notSet" else "rejected")
    return Verdict(state, "" if state == "approved" else f"The status {name} must succeed.")


_RULES: dict[str, Callable[[Store, Document, Document], Verdict]] = {
    policy.MINIMUM_REVIEWERS: _minimum_reviewers,
    policy.REQUIRED_REVIEWERS: _required_reviewers,
    policy.COMMENTS: _comments,
    policy.WORK_ITEMS: _work_items,
    policy.MERGE_STRATEGY: _merge_strategy,
    policy.STATUS: _status,
}
