"""Repositories, refs, files, commits and pushes: https://learn.microsoft.com/rest/api/azure/devops/git."""

import re

from starlette.responses import JSONResponse, PlainTextResponse

from rehearsal.azuredevops import git_commits, git_store, permissions, projects, push_rules
from rehearsal.azuredevops.context import ORGANIZATION, Call, by_name, is_id
from rehearsal.azuredevops.errors import ServiceError, invalid, missing_value, repository_not_found, stale_reference
from rehearsal.azuredevops.git_store import NOTHING, Git, RefUpdate
from rehearsal.azuredevops.permissions import GIT
from rehearsal.azuredevops.projects import find_project, project_of
from rehearsal.azuredevops.routing import Answer, Location, location
from rehearsal.store import Document


def _location(resource: str, rest: str, id_: str) -> Location:
    template = "{project}/_apis/{area}/repositories/{repositoryId}/" + rest
    return location("git", resource, template, id_)


repositories = location(
    "git", "repositories", "{project}/_apis/{area}/{resource}/{repositoryId}", "225f7195-f9c7-4d14-ab28-a83f7ff77e1f"
)
pushes = _location("pushes", "{resource}/{pushId}", "ea98d07b-3c87-4971-8ede-a613694ffb55")
refs = _location("refs", "{resource}/{*filter}", "2d874a60-a811-4f62-9c9f-963a6ea0a55b")
items = _location("items", "{resource}/{*path}", "fb93c0db-47ed-4a31-8c20-47552878fb44")
commits = _location("commits", "{resource}/{commitId}", "c2570c3b-5b3f-41b8-98bf-5407bfde8d58")
branches = _location("branches", "stats/{resource}", "d5b216de-d8d5-4d32-ae76-51df755b16d3")


def reference(call: Call, repository: Document, *, size: bool = True) -> Document:
    """A repository as the service answers it."""
    project = call.store.get("project", repository["project"]) or {}
    web = call.url(project.get("name", ""), "_git", repository["name"])
    api = call.url(repository["project"], "_apis", "git", "repositories", repository["id"])
    document = {
        "id": repository["id"],
        "name": repository["name"],
        "url": api,
        "project": projects.reference(call, project),
        "size": git_store.git(call.service, repository).size() if size else 0,
        # As the real service has it: the organisation's name stands in for a user name.
        "remoteUrl": web.replace("://", f"://{ORGANIZATION}@", 1),
        "sshUrl": f"git@ssh.dev.azure.com:v3/{ORGANIZATION}/{project.get('name')}/{repository['name']}",
        "webUrl": web,
        "isDisabled": repository["isDisabled"],
        "isInMaintenance": False,
        "_links": {"self": {"href": api}, "web": {"href": web}},
    }
    if repository["defaultBranch"]:
        document["defaultBranch"] = repository["defaultBranch"]
    return document


def find(call: Call, action: str = "GenericRead") -> Document:
    """The repository that the path names by id or name, if the user may do `action` with it.

    Raises:
        ServiceError: 404, when there is none or the user may not read it; 403, when the action is refused.
    """
    given = call.route["repositoryId"]
    project = project_of(call) if "project" in call.route else None
    known = call.store.all("repository", f"{project['id']}/" if project else "")
    found = by_name(known, given, "id") if is_id(given) else (by_name(known, given) if project else None)
    if found is None:
        raise repository_not_found(given)
    if project is None:
        find_project(call, found["project"])
    if not push_rules.may(call.service, found, call.user, "GenericRead"):
        raise repository_not_found(given)
    token = permissions.git_token(found["project"], found["id"])
    permissions.demand(call.store, call.user, GIT, token, action)
    return found


def _open(call: Call) -> tuple[Document, Git]:
    """A repository that can be read: one that is disabled can't."""
    repository = find(call)
    if repository["isDisabled"]:
        raise repository_not_found(call.route["repositoryId"])
    return repository, git_store.git(call.service, repository)


def _check_name(call: Call, name: str, project_id: str, mine: str | None = None) -> None:
    # https://learn.microsoft.com/azure/devops/organizations/settings/naming-restrictions#git-repo-names
    if not name or len(name) > 64 or re.search(r'[\\/:*?"<>;#${},+=\[\]|]', name) or name[0] in "._" or name[-1] == ".":
        raise invalid(
            f"TF401025: '{name}' is not a valid name for a Git repository.", "InvalidGitRepositoryNameException"
        )
    taken = by_name(call.store.all("repository", f"{project_id}/"), name)
    if taken is not None and taken["id"] != mine:
        message = f"TF400948: A Git repository with the name {name} already exists."
        raise ServiceError(409, message, "GitRepositoryNameAlreadyExistsException")


@repositories.on("POST")
def create(call: Call) -> Answer:
    body = call.document()
    given = (body.get("project") or {}).get("id") or call.route.get("project")
    if not given:
        raise missing_value("project")
    project = find_project(call, str(given))
    permissions.demand(call.store, call.user, GIT, permissions.git_token(project["id"]), "CreateRepository")
    name = str(body.get("name") or "").strip()
    _check_name(call, name, project["id"])
    repository = git_store.create(call.service, project, name, call.user)
    return JSONResponse(reference(call, repository), 201)


@repositories.on("GET")
def get(call: Call) -> Answer:
    if "repositoryId" in call.route:
        repository = find(call)
        if repository["isDisabled"]:
            raise repository_not_found(call.route["repositoryId"])
        return reference(call, repository)
    project = project_of(call) if "project" in call.route else None
    known = call.store.all("repository", f"{project['id']}/" if project else "")
    return [
        reference(call, each)
        for each in sorted(known, key=lambda each: str(each["name"]))
        if push_rules.may(call.service, each, call.user, "GenericRead")
        and (not each["isDisabled"] or call.flag("includeHidden"))
    ]


@repositories.on("PATCH")
def update(call: Call) -> Answer:
    body = call.document()
    repository = find(call, "RenameRepository")
    if body.get("name") and body["name"] != repository["name"]:
        _check_name(call, body["name"], repository["project"], repository["id"])
        repository["name"] = body["name"]
    if body.get("isDisabled") is not None and body["isDisabled"] != repository["isDisabled"]:
        repository = repository | {"isDisabled": bool(body["isDisabled"])}
        token = permissions.git_token(repository["project"], repository["id"])
        permissions.demand(call.store, call.user, GIT, token, "DeleteRepository")
    branch = body.get("defaultBranch")
    if branch and branch != repository["defaultBranch"]:
        if branch not in git_store.git(call.service, repository).refs("refs/heads/"):
            raise invalid(f"The branch '{branch}' does not exist.", "GitArgumentException")
        git_store.set_default_branch(call.service, repository, branch)
    call.store.put("repository", git_store.key(repository), repository)
    return reference(call, repository)


@repositories.on("DELETE")
def delete(call: Call) -> Answer:
    repository = find(call, "DeleteRepository")
    if len(call.store.all("repository", f"{repository['project']}/")) == 1:
        message = "The last repository of a project cannot be deleted."
        raise invalid(message, "GitRepositoryMinimumPerProjectThresholdExceededException")
    git_store.remove(call.service, repository)
    return None


def _ref(call: Call, repository: Document, name: str, object_id: str) -> Document:
    url = call.url(repository["project"], "_apis", "git", "repositories", repository["id"], "refs")
    return {
        "name": name,
        "objectId": object_id,
        "creator": _author_of(call, repository, name),
        "url": f"{url}?filter={name.removeprefix('refs/')}",
    }


def _author_of(call: Call, repository: Document, name: str) -> Document | None:
    creator = None
    for push in call.store.all("push", f"{git_store.key(repository)}/"):
        if any(each["name"] == name and each["oldObjectId"] == NOTHING for each in push["refUpdates"]):
            creator = call.store.get("identity", push["pushedBy"])
    return git_commits.person(call, creator) if creator else None


@refs.on("GET")
def get_refs(call: Call) -> Answer:
    repository, here = _open(call)
    prefix = "refs/" + (call.query.get("filter") or call.route.get("filter") or "")
    found = {name: value for name, value in here.refs().items() if name.startswith(prefix)}
    if call.query.get("filtercontains"):
        found = {name: value for name, value in found.items() if call.query["filtercontains"] in name}
    return [_ref(call, repository, name, value) for name, value in found.items()]


@refs.on("POST")
def update_refs(call: Call) -> Answer:
    repository, here = _open(call)
    body = call.json()
    if not isinstance(body, list):
        raise missing_value("refUpdates")
    results = []
    for each in body:
        wanted = RefUpdate(str(each.get("name")), str(each.get("oldObjectId")), str(each.get("newObjectId")))
        said, detail = _update_one(call, repository, here, wanted)
        result = {
            "repositoryId": repository["id"],
            "name": wanted.name,
            "oldObjectId": wanted.old,
            "newObjectId": wanted.new,
            "isLocked": False,
            "updateStatus": said,
            "success": said == "succeeded",
        }
        results.append(result | ({"customMessage": detail} if detail else {}))
    return results


def _update_one(call: Call, repository: Document, here: Git, wanted: RefUpdate) -> tuple[str, str]:
    """What becomes of one update: the service's word for it (GitRefUpdateStatus), and the reason."""
    if here.refs(wanted.name).get(wanted.name, NOTHING) != wanted.old:
        return "staleOldObjectId", ""
    if wanted.new != NOTHING and not here.has(wanted.new):
        return "unresolvableToCommit", ""
    refused = push_rules.refusal(call.service, repository, call.user, wanted)
    if refused:
        return ("rejectedByPolicy" if refused == push_rules.PROTECTED else "writePermissionRequired"), refused
    git_store.update_refs(call.service, repository, [wanted], call.user)
    return "succeeded", ""


@pushes.on("POST")
def create_push(call: Call) -> Answer:
    repository, here = _open(call)
    body = call.document()
    updates, new_commits = body.get("refUpdates") or [], body.get("commits") or []
    if len(updates) != 1 or len(new_commits) != 1:
        raise invalid("A push has one ref update and one commit.", "GitArgumentException")
    name, old = str(updates[0].get("name")), str(updates[0].get("oldObjectId") or NOTHING)
    if here.refs(name).get(name, NOTHING) != old:
        raise stale_reference(name)
    commit = git_commits.make(call, here, new_commits[0], None if old == NOTHING else old)
    wanted = RefUpdate(name, old, commit)
    refused = push_rules.refusal(call.service, repository, call.user, wanted)
    if refused:
        # The provider waits for this status and text; the type key is what the service's client library calls it.
        raise ServiceError(403, refused, "GitRefUpdateRejectedByPolicyException")
    push = git_store.update_refs(call.service, repository, [wanted], call.user)
    shown = _push(call, repository, push)
    shown["commits"] = [git_commits.described(call, repository, here, commit)]
    return JSONResponse(shown, 201)


def _push(call: Call, repository: Document, push: Document) -> Document:
    who = call.store.get("identity", push["pushedBy"])
    url = call.url(repository["project"], "_apis", "git", "repositories", repository["id"], "pushes", push["pushId"])
    return push | {
        "pushedBy": git_commits.person(call, who) if who else None,
        "repository": reference(call, repository, size=False),
        "url": url,
    }


@pushes.on("GET")
def get_pushes(call: Call) -> Answer:
    repository, here = _open(call)
    if "pushId" in call.route:
        push = call.store.get("push", f"{git_store.key(repository)}/{call.number('pushId'):09}")
        if push is None:
            raise ServiceError(404, f"The push {call.route['pushId']} does not exist.", "GitPushNotFoundException")
        shown = _push(call, repository, push)
        found = [here.resolve(each["newObjectId"]) for each in push["refUpdates"] if each["newObjectId"] != NOTHING]
        shown["commits"] = [git_commits.described(call, repository, here, each) for each in found if each]
        return shown
    kept = reversed(call.store.all("push", f"{git_store.key(repository)}/"))
    return [_push(call, repository, each) for each in kept][: call.whole_number("$top", 100)]


def _version(call: Call, repository: Document, here: Git, prefix: str) -> str:
    """The commit that a version descriptor in the query means; the default branch, where there is none.

    Raises:
        ServiceError: 404, when there is no such branch, tag or commit.
    """
    name = call.query.get(f"{prefix}.version") or call.query.get("version")
    kind = (call.query.get(f"{prefix}.versiontype") or call.query.get("versiontype") or "branch").lower()
    if not name:
        full = repository["defaultBranch"] or "refs/heads/main"
    else:
        full = {"branch": f"refs/heads/{name}", "tag": f"refs/tags/{name}"}.get(kind, name)
    found = here.resolve(full)
    if found is None:
        message = (
            f"TF401175: The version descriptor <{kind.capitalize()}: {name or full.removeprefix('refs/heads/')} > "
            f"could not be resolved to a version in the repository {repository['name']}"
        )
        raise ServiceError(404, message, "GitUnresolvableToCommitException")
    return found


@items.on("GET")
def get_items(call: Call) -> Answer:
    repository, here = _open(call)
    commit = _version(call, repository, here, "versiondescriptor")
    scope = call.query.get("scopepath")
    path = "/" + (scope or call.query.get("path") or call.route.get("path") or "").strip("/")
    found = git_commits.entry(here, commit, path)
    if found is None:
        message = (
            f"TF401174: The item '{path}' could not be found in the repository '{repository['name']}' at the version "
            f"specified by '<Commit: {commit} >'"
        )
        raise ServiceError(404, message, "GitItemNotFoundException")
    level = call.query.get("recursionlevel", "none").lower()
    if scope is not None or level != "none":
        listed = [found, *git_commits.below(here, commit, path, deep=level == "full")] if level != "none" else [found]
        return [git_commits.item(call, repository, here, commit, each) for each in listed]
    wants_json = call.query.get("$format", "").lower() == "json" or call.flag("includeContent")
    if found["gitObjectType"] == "blob" and not wants_json and not call.wants_json:
        return PlainTextResponse(here.run("cat-file", "blob", found["objectId"]), media_type="application/octet-stream")
    shown = git_commits.item(call, repository, here, commit, found)
    if call.flag("includeContent") and found["gitObjectType"] == "blob":
        shown["content"] = here.run("cat-file", "blob", found["objectId"]).decode(errors="replace")
    return shown


@commits.on("GET")
def get_commits(call: Call) -> Answer:
    repository, here = _open(call)
    if "commitId" in call.route:
        id_ = call.route["commitId"]
        if not re.fullmatch(r"[0-9a-fA-F]{7,40}", id_) or here.resolve(id_) is None:
            message = f"TF401175: The commit '{id_}' does not exist in the repository '{repository['name']}'."
            raise ServiceError(404, message, "GitCommitDoesNotExistException")
        return git_commits.described(call, repository, here, here.resolve(id_) or "")
    if repository["defaultBranch"] is None:
        return []
    start = _version(call, repository, here, "searchcriteria.itemversion")
    top = call.whole_number("$top", call.whole_number("searchCriteria.$top", 100))
    skip = call.whole_number("$skip", call.whole_number("searchCriteria.$skip", 0))
    path = call.query.get("searchcriteria.itempath", "").strip("/")
    found = here.text("rev-list", f"--max-count={top}", f"--skip={skip}", start, "--", *([path] if path else []))
    return [git_commits.described(call, repository, here, each) for each in found.splitlines()]


@branches.on("GET")
def get_branches(call: Call) -> Answer:
    repository, here = _open(call)
    found = here.refs("refs/heads/")
    base = found.get(repository["defaultBranch"] or "")

    def shown(name: str, commit: str) -> Document:
        ahead = behind = "0"
        if base:
            behind, ahead = here.text("rev-list", "--left-right", "--count", f"{base}...{commit}").split("\t")
        return {
            "name": name.removeprefix("refs/heads/"),
            "commit": git_commits.described(call, repository, here, commit),
            "aheadCount": int(ahead),
            "behindCount": int(behind),
            "isBaseVersion": name == repository["defaultBranch"],
        }

    if call.query.get("name"):
        full = f"refs/heads/{call.query['name']}"
        if full not in found:
            message = f"TF401175: The version descriptor <Branch: {call.query['name']} > could not be resolved."
            raise ServiceError(404, message, "GitUnresolvableToCommitException")
        return shown(full, found[full])
    return [shown(name, commit) for name, commit in found.items()]
