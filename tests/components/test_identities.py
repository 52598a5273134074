"""Finding people and groups: never somebody else of a similar name."""

import pulumi
import pytest

from components import identities
from tests.components.conftest import Program
from tests.components.recording import Recording
from tests.components.services import BUILD_SERVICE, User


class Area(pulumi.ComponentResource):
    def __init__(self, opts: pulumi.ResourceOptions) -> None:
        super().__init__("databricks-cicd:test:Area", "area", None, opts)


def find(program: Program, name: str) -> Recording:
    def make(opts: pulumi.ResourceOptions) -> None:
        found = identities.find(name, "p", Area(opts))
        pulumi.export("found", [found.descriptor, found.id])

    return program.part(make)


def find_service(program: Program, name: str) -> str | None:
    def make(opts: pulumi.ResourceOptions) -> None:
        found = identities.find_service(name, Area(opts))
        pulumi.export("found", found.descriptor if found else "nobody")

    return str(program.part(make).exports["found"])


def test_a_user_is_found_by_the_sign_in_name_in_any_case(program: Program) -> None:
    assert find(program, "ANN@example.com").exports["found"] == ["descriptor of Ann", "id of Ann"]


def test_a_user_is_found_by_the_mail_address_where_the_sign_in_name_is_another(program: Program) -> None:
    program.answers.users.append(User(principal_name="c-17@corp.local", display_name="Cy", mail="cy@example.com"))

    assert find(program, "cy@example.com").exports["found"] == ["descriptor of Cy", "id of Cy"]


def test_nobody_is_taken_for_another_whose_address_contains_the_name(program: Program) -> None:
    program.answers.users[:] = [User(principal_name="joann@example.com", display_name="Jo", mail="joann@example.com")]

    with pytest.raises(pulumi.RunError, match=r"no user 'ann@example\.com'"):
        find(program, "ann@example.com")


def test_a_group_is_found_by_its_name_in_the_project(program: Program) -> None:
    recorded = find(program, "Release managers")

    assert recorded.exports["found"] == ["descriptor of Release managers", "id of Release managers"]
    assert [each.inputs for each in recorded.asked("getGroup")] == [{"name": "Release managers", "projectId": "p"}]


def test_a_service_identity_is_found_by_its_whole_display_name(program: Program) -> None:
    program.answers.users.append(BUILD_SERVICE)

    assert find_service(program, BUILD_SERVICE.display_name.upper()) == BUILD_SERVICE.descriptor
    assert find_service(program, BUILD_SERVICE.display_name[:-1]) == "nobody"
    assert find_service(program, "Other Build Service (contoso)") == "nobody"


def test_a_failure_other_than_an_unknown_name_is_not_taken_for_one(program: Program) -> None:
    program.answers.failures["getIdentityUsers"] = "TF400813: The user is not authorized to access this resource"

    with pytest.raises(Exception, match="TF400813"):
        find(program, "ann@example.com")
