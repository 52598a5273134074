"""What every component keeps to, whichever there are: they are found, not listed."""

import ast
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pulumi
import pytest

import components
from components.sdk import databricks
from tests.components.conftest import ROOT, committed_config, prepared, some_notebook
from tests.components.recording import COMPONENT_PREFIX, Recording

MODULES: dict[str, ModuleType] = {
    name: importlib.import_module(f"components.{name}") for _, name, _ in pkgutil.iter_modules(components.__path__)
}
COMPONENTS: list[type[pulumi.ComponentResource]] = [
    found
    for module in MODULES.values()
    for found in vars(module).values()
    if inspect.isclass(found) and issubclass(found, pulumi.ComponentResource) and found.__module__ == module.__name__
]
every_component = pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.__name__)

# They are in the state of every stack: change one only together with an alias, and with a test that the alias works.
TYPE_TOKENS = {
    "databricks-cicd:azuredevops:BranchPolicies",
    "databricks-cicd:azuredevops:DeploymentGate",
    "databricks-cicd:azuredevops:PipelineVariables",
    "databricks-cicd:azuredevops:Pipelines",
    "databricks-cicd:azuredevops:SourceControl",
    "databricks-cicd:databricks:FolderPermissions",
    "databricks-cicd:databricks:Jobs",
    "databricks-cicd:databricks:Notebooks",
    "databricks-cicd:databricks:WorkspaceFolder",
}
# Who may import a component's module: the one that puts them together, and for a plain function.
ALLOWED_IMPORTS = {
    "control_plane": {
        *("SourceControl", "SourceControlArgs"),
        *("PipelineVariables", "PipelineVariablesArgs"),
        *("Pipelines", "PipelinesArgs"),
        *("BranchPolicies", "BranchPoliciesArgs"),
    },
    "jobs": {"access_controls"},
}


@functools.cache
def source(component: type) -> ast.ClassDef:
    tree = ast.parse(Path(inspect.getfile(component)).read_text(encoding="utf-8"))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == component.__name__)


def constructor(component: type) -> ast.FunctionDef:
    return next(
        node for node in source(component).body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )


def type_token(component: type) -> str:
    return str(ast.literal_eval(super_init(component).args[0]))


def super_init(component: type) -> ast.Call:
    (call,) = (
        node
        for node in ast.walk(constructor(component))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__"
    )
    return call


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The program with all that the settings can turn on."""
    config: dict[str, Any] = committed_config("test")
    config["controlPlane"]["agents"] = {"pool": "Linux agents"}
    config["controlPlane"]["review"] = {
        "linkedWorkItem": "optional",
        "requiredReviewers": [{"paths": ["/pipelines/*"], "reviewers": ["ann@example.com"]}],
    }
    config["gate"] = {
        "approvers": ["ann@example.com"],
        "businessHours": {"days": ["monday"], "start": "08:00", "end": "16:00", "timeZone": "UTC"},
    }
    access = [{"group": "data-engineers", "level": "CAN_MANAGE"}]
    config["jobOverrides"] = {}
    config["jobs"] = {"refresh": {"notebook": some_notebook(), "access": access}}
    with pytest.MonkeyPatch.context() as monkeypatch:
        return prepared(monkeypatch, tmp_path_factory.mktemp("home")).whole("test", config)


def test_the_type_tokens_are_those_of_the_stacks_that_exist() -> None:
    assert {type_token(component) for component in COMPONENTS} == TYPE_TOKENS


@every_component
def test_a_type_token_names_area_and_class(component: type) -> None:
    assert re.fullmatch(rf"databricks-cicd:(azuredevops|databricks):{component.__name__}", type_token(component))


@every_component
def test_the_arguments_are_a_frozen_keyword_only_dataclass_beside_the_class(component: type) -> None:
    args: Any = getattr(MODULES[component.__module__.rpartition(".")[2]], f"{component.__name__}Args")

    assert dataclasses.is_dataclass(args)
    assert vars(args)["__dataclass_params__"].frozen
    assert all(field.kw_only for field in dataclasses.fields(args))
    signature = inspect.signature(component)
    assert list(signature.parameters) == ["name", "args", "opts"]
    assert get_type_hints(component.__init__)["args"] is args  # type: ignore[misc] # of a class, not of an instance


@every_component
def test_registering_the_outputs_is_the_last_that_a_component_does(component: type) -> None:
    last = constructor(component).body[-1]

    assert isinstance(last, ast.Expr)
    assert isinstance(last.value, ast.Call)
    assert ast.unparse(last.value.func) == "self.register_outputs"
    calls = [node for node in ast.walk(source(component)) if isinstance(node, ast.Attribute)]
    assert [node.attr for node in calls].count("register_outputs") == 1


@every_component
def test_the_declared_outputs_are_registered(component: type, everything: Recording) -> None:
    declared = {
        name
        for name, kind in component.__annotations__.items()
        # A resource that travels to another component is no output.
        if kind is not databricks.Directory
    }

    assert everything.all(component.__name__)
    for registered in everything.all(component.__name__):
        assert set(everything.outputs[registered.urn]) == declared


@every_component
def test_the_callers_options_go_to_the_component_alone(component: type) -> None:
    uses = [node for node in ast.walk(source(component)) if isinstance(node, ast.Name) and node.id == "opts"]

    assert len(uses) == 1
    assert uses[0] in super_init(component).args


@every_component
def test_every_child_has_the_component_as_its_parent(component: type, everything: Recording) -> None:
    assert everything.all(component.__name__)
    for registered in everything.all(component.__name__):
        assert registered.parent == everything.one("Stack").urn
        assert [each for each in everything.resources if each.parent == registered.urn]


def test_every_resource_of_the_providers_belongs_to_a_component(everything: Recording) -> None:
    by_urn = {each.urn: each for each in everything.resources}

    for each in everything.resources:
        if each.type.startswith(("azuredevops:", "databricks:")):
            assert by_urn[each.parent].type.startswith(COMPONENT_PREFIX)


def test_logical_names_are_kebab_case_without_the_name_of_the_stack(everything: Recording) -> None:
    for each in everything.resources:
        if each.kind != "Stack":
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", each.name)
            if each.kind != "WorkspaceFile":  # named after files, which may be tests
                assert not {"test", "prod", "production"} & set(each.name.split("-"))


def test_logical_names_do_not_repeat_the_provider(everything: Recording) -> None:
    for each in everything.resources:
        if each.custom and not each.type.startswith("pulumi:"):
            assert each.type.partition(":")[0] not in each.name


@every_component
def test_the_docstrings_say_purpose_arguments_and_where_it_is_documented(component: type) -> None:
    args: Any = getattr(MODULES[component.__module__.rpartition(".")[2]], f"{component.__name__}Args")

    assert "Deliberately not managed:" in (component.__doc__ or "")
    assert "https://" in (component.__doc__ or "")
    for field in dataclasses.fields(args):
        assert f"\n        {field.name}: " in (args.__doc__ or "")


@pytest.mark.parametrize("name", MODULES)
def test_public_things_have_docstrings(name: str) -> None:
    module = MODULES[name]

    assert module.__doc__
    own = [
        found
        for public, found in vars(module).items()
        if not public.startswith("_") and getattr(found, "__module__", None) == module.__name__
    ]
    assert [each.__name__ for each in own if callable(each) and not each.__doc__] == []


@pytest.mark.parametrize("name", MODULES)
def test_components_do_not_import_each_other(name: str) -> None:
    of_components = {component.__module__ for component in COMPONENTS}
    tree = ast.parse((ROOT / "components" / f"{name}.py").read_text(encoding="utf-8"))

    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in of_components
        for alias in node.names
    }
    assert imported <= ALLOWED_IMPORTS.get(name, set())


def test_no_component_knows_the_rehearsal_the_delivery_or_the_tests() -> None:
    for path in (ROOT / "components").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not [module for module in modules if module.split(".")[0] in ("rehearsal", "delivery", "tests")]
