"""The recording monitor: what it refuses, and that it does see what it claims to see."""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.sdk import azuredevops, databricks
from tests.components.conftest import TOKEN, Program
from tests.components.recording import RefusedError

Options = pulumi.ResourceOptions


class Area(pulumi.ComponentResource):
    def __init__(self, name: str, opts: Options) -> None:
        super().__init__("databricks-cicd:test:Area", name, None, opts)


def git(logical_name: str, /, opts: Options, **inputs: Any) -> azuredevops.Git:
    made: dict[str, Any] = {"project_id": "p", "initialization": {"init_type": "Clean"}, **inputs}
    return azuredevops.Git(logical_name, opts=opts, **made)


def twice(opts: Options) -> None:
    area = Area("area", opts)
    git("same", Options(parent=area))
    git("same", Options(parent=area))


def without_parent(opts: Options) -> None:
    provider = azuredevops.Provider("mine", org_service_url="https://dev.azure.com/contoso")
    git("orphan", Options(provider=provider))


def component_in_component(opts: Options) -> None:
    Area("inner", Options(parent=Area("outer", opts)))


def with_default_provider(opts: Options) -> None:
    git("lost", Options(parent=Area("area", Options())))


def asked_through_default_provider(opts: Options) -> None:
    azuredevops.get_project(name="x")


def with_unknown_nested_input(opts: Options) -> None:
    git("x", Options(parent=Area("area", opts)), initialization={"initType": "Clean", "colour": "red"})


def with_missing_nested_input(opts: Options) -> None:
    git("x", Options(parent=Area("area", opts)), initialization={"sourceType": "Git"})


def with_text_for_a_number(opts: Options) -> None:
    size: Any = "10"
    azuredevops.RepositoryPolicyMaxFileSize(
        "x", project_id="p", repository_ids=["r"], max_file_size=size, opts=Options(parent=Area("area", opts))
    )


def with_a_wrong_item_in_a_list(opts: Options) -> None:
    scopes: Any = [1]
    azuredevops.RepositoryPolicyReservedNames(
        "x", project_id="p", repository_ids=scopes, opts=Options(parent=Area("area", opts))
    )


def changed_by_a_transformation(opts: Options) -> None:
    def change(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        return pulumi.ResourceTransformationResult({**args.props, "repositorySize": 1}, args.opts)

    git("x", Options(parent=Area("area", opts), transformations=[change]))


def emptied_by_a_transformation(opts: Options) -> None:
    def empty(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        return pulumi.ResourceTransformationResult({**args.props, "project_id": None}, args.opts)

    git("x", Options(parent=Area("area", opts), transformations=[empty]))


def read_from_the_service(opts: Options) -> None:
    databricks.Directory.get("x", "/x", opts=Options(parent=Area("area", opts)))


def two_hooks_of_a_name(opts: Options) -> None:
    def nothing(args: pulumi.ResourceHookArgs) -> None:
        pass

    hooks = [pulumi.ResourceHook("same", nothing), pulumi.ResourceHook("same", nothing)]
    git("x", Options(parent=Area("area", opts), hooks=pulumi.ResourceHookBinding(before_create=[*hooks])))


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (twice, "duplicate URN .*::same$"),
        (without_parent, "Git orphan has no component as its parent, but 'pulumi:pulumi:Stack'"),
        (component_in_component, "component inner is not a child of the stack, but of 'databricks-cicd:test:Area'"),
        (with_default_provider, "Git lost uses a default provider"),
        (asked_through_default_provider, "getProject is asked through a default provider"),
        (with_unknown_nested_input, r"initialization\.colour is no input of GitInitializationArgs"),
        (with_missing_nested_input, r"initialization\.initType is required and missing"),
        (with_text_for_a_number, "maxFileSize is '10', not int"),
        (with_a_wrong_item_in_a_list, r"repositoryIds\[0\] is 1, not str"),
        (changed_by_a_transformation, "repositorySize is no input of GitArgs"),
        (emptied_by_a_transformation, "projectId is required and missing"),
        (read_from_the_service, "Directory x is read, not declared"),
        (two_hooks_of_a_name, "already registered for name 'same'"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_the_monitor_refuses(program: Program, mistake: Callable[[Options], None], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        program.part(mistake)


def test_a_refusal_counts_even_where_the_program_swallows_it(program: Program) -> None:
    def swallow(opts: Options) -> None:
        try:
            azuredevops.get_project(name="x")
        except Exception:  # noqa: BLE001 - a program that catches too much is what is tested
            pulumi.log.info("went on")

    with pytest.raises(RefusedError, match="default provider"):
        program.part(swallow)


def test_the_monitor_sees_parents_protection_dependencies_providers_and_options(program: Program) -> None:
    def make(opts: Options) -> None:
        area = Area("area", Options.merge(opts, Options(protect=True)))
        first = git("first", Options(parent=area, ignore_changes=["initialization"]))
        git("second", Options(parent=area, depends_on=[first], protect=False), name=first.name)

    recorded = program.part(make)

    area, first, second = (recorded.named(name) for name in ("area", "first", "second"))
    assert first.parent == second.parent == area.urn
    assert area.parent == recorded.one("Stack").urn
    assert (first.protect, second.protect) == (True, False)
    assert second.dependencies == {first.urn}
    assert first.ignore_changes == ("initialization",)
    assert first.provider == f"{recorded.named('azure-devops').urn}::id of azure-devops"
    assert first.inputs == {"projectId": "p", "initialization": {"initType": "Clean"}}


def test_each_run_is_a_program_of_its_own(program: Program) -> None:
    first = program.part(lambda opts: Area("area", opts))
    second = program.part(lambda opts: Area("area", opts))

    assert [each.urn for each in first.resources] == [each.urn for each in second.resources]
    assert TOKEN not in repr(first)
