"""What the two services and the other stacks answer while a program is recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Resources whose ids are numbers in Azure DevOps; the program turns them into whole numbers.
NUMBERED = ("BuildDefinition", "Environment", "VariableGroup")


@dataclass(frozen=True, kw_only=True)
class User:
    """A user or a service identity of the organisation."""

    principal_name: str
    display_name: str
    mail: str = ""

    @property
    def id(self) -> str:
        """What policies name the user by."""
        return f"id of {self.display_name}"

    @property
    def descriptor(self) -> str:
        """What groups and permissions name the user by."""
        return f"descriptor of {self.display_name}"


ANN = User(principal_name="ann@example.com", display_name="Ann", mail="ann@example.com")
BO = User(principal_name="bo@example.com", display_name="Bo", mail="bo@example.com")
BUILD_SERVICE = User(principal_name="4711", display_name="Databricks CI-CD Build Service (contoso)")


@dataclass(kw_only=True)
class Answers:
    """What is there to be found.

    Args:
        users: the organisation's users and service identities.
        groups: names of groups.
        stacks: what other stacks export, by their full name.
        failures: for a function such as `getProjects`, the words with which the provider fails.
    """

    users: list[User] = field(default_factory=lambda: [ANN, BO])
    groups: list[str] = field(default_factory=lambda: ["Release managers"])
    stacks: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def invoke(self, function: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a function of a provider gives.

        Raises:
            LookupError: with the words of the provider's failure.
        """
        if function in self.failures:
            raise LookupError(self.failures[function])
        answers: dict[str, Callable[[], Mapping[str, Any]]] = {
            "readStackOutputs": lambda: self._stack(inputs["name"]),
            "getProjects": lambda: {"id": "projects", "projects": []},
            "getCurrentUser": lambda: {"id": "1", "userName": "deployer@example.com"},
            "getProject": lambda: {"id": f"id of project {inputs['name']}", "name": inputs["name"]},
            "getGitRepository": lambda: {"id": f"id of repository {inputs['name']}", "name": inputs["name"]},
            "getAgentQueue": lambda: {"id": f"id of queue {inputs['name']}", "name": inputs["name"]},
            "getIdentityUsers": lambda: self._identity(inputs["name"], inputs["searchFilter"]),
            "getUser": lambda: self._user(inputs["descriptor"]),
            "getGroup": lambda: self._group(inputs["name"], inputs["projectId"]),
        }
        return answers[function]()

    def new_id(self, type_token: str, name: str, number: int) -> str:
        """The id of a new resource."""
        return str(number) if type_token.endswith(NUMBERED) else f"id of {name}"

    def computed(self, kind: str, name: str) -> Mapping[str, Any]:
        """The outputs that the service adds to the inputs."""
        return {"descriptor": f"descriptor of {name}", "originId": f"origin of {name}"} if kind == "Group" else {}

    def _stack(self, name: str) -> Mapping[str, Any]:
        if name not in self.stacks:
            # The engine's words, in pkg/backend/backend.go.
            raise LookupError(f'unknown stack "{name}"')
        return {"name": name, "outputs": dict(self.stacks[name]), "secretOutputNames": []}

    def _identity(self, name: str, search_filter: str) -> Mapping[str, Any]:
        """The service's search takes a part of a mail address, and any case."""
        for user in self.users:
            found = user.mail if search_filter == "MailAddress" else user.display_name
            if name.casefold() in found.casefold():
                return {"id": user.id, "name": name, "descriptor": "", "subjectDescriptor": user.descriptor}
        # The provider's words, in data_identity_user.go.
        raise LookupError(f"Could not find user with name: {name}, with filter: {search_filter}")

    def _user(self, descriptor: str) -> Mapping[str, Any]:
        user = next(each for each in self.users if each.descriptor == descriptor)
        return {
            "id": user.descriptor,
            "descriptor": user.descriptor,
            "principalName": user.principal_name,
            "mailAddress": user.mail,
            "displayName": user.display_name,
        }

    def _group(self, name: str, project_id: str) -> Mapping[str, Any]:
        if name not in self.groups:
            raise LookupError(f"Could not find Group with Name: {name} in project with ID: {project_id}")
        return {"id": f"descriptor of {name}", "descriptor": f"descriptor of {name}", "groupId": f"id of {name}"}
