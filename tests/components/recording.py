"""A resource monitor that records what a program declares, and refuses what the real engine would let pass.

`pulumi.runtime.Mocks` sees types, names and inputs and takes anything. Here a program runs as the language host runs
it (`run_in_stack`), in a context and an event loop of its own, and the monitor keeps parents, protection,
dependencies, providers and hooks too. `RefusedError` is raised for

- a URN that is there already,
- an input that the SDK's class doesn't have or that has another type, at any depth, and for one that is missing,
- a resource of a provider that no component is the parent of, or that uses a default provider; a resource that is read,
- a component that isn't a child of the stack.

Source: https://www.pulumi.com/docs/iac/concepts/testing/unit/
"""

import asyncio
import contextvars
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import grpc  # type: ignore[import-untyped] # published without types
import pulumi
import pulumi.runtime
from google.protobuf import empty_pb2  # type: ignore[import-untyped] # published without types
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.stack import run_in_stack

from tests.components import sdk_inputs
from tests.components.services import Answers

PROJECT, ORGANIZATION = "databricks-cicd", "organization"
STACK_REFERENCE_TYPE = "pulumi:pulumi:StackReference"
STACK_TYPE = "pulumi:pulumi:Stack"
COMPONENT_PREFIX = "databricks-cicd:"
PROVIDER_PREFIX = "pulumi:providers:"
HOOKS = ("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete", "on_error")


class RefusedError(AssertionError):
    """The program declares something that it must not declare."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registration, as the engine got it. `inputs` have the names of the wire (`projectId`)."""

    type: str
    name: str
    urn: str
    id: str
    custom: bool
    inputs: Mapping[str, Any]
    parent: str
    protect: bool
    delete_before_replace: bool
    dependencies: frozenset[str]
    ignore_changes: tuple[str, ...]
    provider: str
    hooks: Mapping[str, tuple[str, ...]]

    @property
    def kind(self) -> str:
        """The last part of the type: `Git` of `azuredevops:index/git:Git`."""
        return self.type.rpartition(":")[2]


@dataclass(frozen=True, kw_only=True)
class Invoke:
    """One call of a provider's function."""

    token: str
    inputs: Mapping[str, Any]
    provider: str


@dataclass(kw_only=True)
class Recording:
    """All that a program did. `outputs` are those of components by URN, `hooks` are there to be called."""

    resources: list[Resource] = field(default_factory=list)
    invokes: list[Invoke] = field(default_factory=list)
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    hooks: dict[str, Any] = field(default_factory=dict)
    logs: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[RefusedError] = field(default_factory=list)

    def all(self, kind: str) -> list[Resource]:
        """The resources of a kind, in the order of their registration."""
        return [each for each in self.resources if each.kind == kind]

    def one(self, kind: str) -> Resource:
        """The only resource of a kind."""
        (found,) = self.all(kind)
        return found

    def named(self, name: str) -> Resource:
        """The only resource with a logical name."""
        (found,) = (each for each in self.resources if each.name == name)
        return found

    def kinds(self) -> list[str]:
        """The kinds of all resources of the two providers, sorted."""
        return sorted(each.kind for each in self.resources if each.custom and not each.type.startswith("pulumi:"))

    def asked(self, function: str) -> list[Invoke]:
        """The calls of a provider's function, such as `getUser`."""
        return [each for each in self.invokes if each.token.rpartition(":")[2] == function]

    @property
    def exports(self) -> Mapping[str, Any]:
        """What the stack exports."""
        return self.outputs[self.one("Stack").urn]

    def messages(self, severity: str) -> list[str]:
        """What the program said, `warning` or `info`."""
        return [message for each, message in self.logs if each == severity]


class ProviderError(grpc.RpcError):  # type: ignore[misc] # grpc is published without types
    """How a failure of a provider reaches the SDK: with the provider's words as details."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self._words = words

    def code(self) -> grpc.StatusCode:
        """The engine's code for all of a provider's failures."""
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        """The provider's words."""
        return self._words


class _Hooks:
    """Stands for the server that the engine calls back."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        if hook.name in self._recording.hooks:
            # The engine's words: two hooks of one name can't be registered.
            raise RefusedError(f"resource hook already registered for name {hook.name!r}")
        self._recording.hooks[hook.name] = hook

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        self.register_resource_hook(hook)  # type: ignore[arg-type] # both have a name, and one table


class _Engine:
    """Takes the program's messages."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:  # noqa: N802 - the RPC's name
        if request.severity != engine_pb2.DEBUG:
            severity = engine_pb2.LogSeverity.Name(request.severity).lower()
            self._recording.logs.append((severity, request.message))
        return empty_pb2.Empty()


class _Monitor(mocks.MockMonitor):
    """Records, refuses, and answers as the services would."""

    def __init__(self, recording: Recording, answers: Answers) -> None:
        self._recording = recording
        self._answers = answers
        self._numbers = itertools.count(1)

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> resource_pb2.ResourceInvokeResponse:  # noqa: N802
        token, inputs = request.tok, _plain(request.args)
        self._recording.invokes.append(Invoke(token=token, inputs=inputs, provider=request.provider))
        if not request.provider and not token.startswith("pulumi:"):
            self._refuse(f"{token} is asked through a default provider")
        try:
            answer = self._answers.invoke(token.rpartition(":")[2], inputs)
        except LookupError as error:
            raise ProviderError(str(error.args[0])) from None
        return resource_pb2.ResourceInvokeResponse(**{"return": _struct(answer)})

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        if request.type != STACK_REFERENCE_TYPE:
            self._refuse(f"{request.type} {request.name} is read, not declared")
        try:
            answer = self._answers.invoke("readStackOutputs", _plain(request.properties))
        except LookupError as error:
            raise ProviderError(str(error.args[0])) from None
        urn = self.make_urn(request.parent, request.type, request.name)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=_struct({**answer, "stack": answer["name"]}))

    def RegisterResource(  # noqa: N802 - the RPC's name
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        inputs = _plain(request.object)
        resource = Resource(
            type=request.type,
            name=request.name,
            urn=urn,
            id=self._answers.new_id(request.type, request.name, next(self._numbers)) if request.custom else "",
            custom=request.custom,
            inputs=inputs,
            parent=request.parent,
            protect=request.protect,
            delete_before_replace=request.deleteBeforeReplace,
            dependencies=frozenset(request.dependencies),
            ignore_changes=tuple(request.ignoreChanges),
            provider=request.provider,
            hooks={hook: tuple(names) for hook in HOOKS if (names := getattr(request.hooks, hook))},
        )
        self._check(resource)
        self._recording.resources.append(resource)
        outputs = {**inputs, **self._answers.computed(resource.kind, request.name)} if request.custom else {}
        return resource_pb2.RegisterResourceResponse(urn=urn, id=resource.id, object=_struct(outputs))

    def RegisterResourceOutputs(  # noqa: N802 - the RPC's name
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        if request.urn in self._recording.outputs:
            self._refuse(f"{request.urn} registers its outputs twice")
        self._recording.outputs[request.urn] = _plain(request.outputs)
        return empty_pb2.Empty()

    def _check(self, resource: Resource) -> None:
        if any(each.urn == resource.urn for each in self._recording.resources):
            self._refuse(f"duplicate URN {resource.urn}")
        parent = next((each.type for each in self._recording.resources if each.urn == resource.parent), "")
        if resource.type.startswith(PROVIDER_PREFIX):
            # A provider's inputs are text on the wire, whatever their type: its own constructor checks them.
            return
        if resource.custom:
            if not parent.startswith(COMPONENT_PREFIX):
                self._refuse(f"{resource.type} {resource.name} has no component as its parent, but {parent!r}")
            if not resource.provider:
                self._refuse(f"{resource.type} {resource.name} uses a default provider")
            mistakes = sdk_inputs.mistakes(resource.type, resource.inputs)
            if mistakes:
                self._refuse(f"{resource.type} {resource.name}: {'; '.join(mistakes)}")
        elif STACK_TYPE not in (resource.type, parent):
            self._refuse(f"component {resource.name} is not a child of the stack, but of {parent!r}")

    def _refuse(self, why: str) -> NoReturn:
        refused = RefusedError(why)
        self._recording.refusals.append(refused)
        raise refused


def record(
    program: Callable[[], Awaitable[None] | None],
    *,
    answers: Answers,
    stack: str = "test",
    config: Mapping[str, str] | None = None,
    root: Path | None = None,
    recording: Recording,
) -> None:
    """Runs a program to its end, all outputs resolved.

    Args:
        program: what declares the resources.
        answers: what the services know.
        stack: the short name of the stack.
        config: the stack's configuration as Pulumi hands it over: full keys, objects as JSON.
        root: the project's folder.
        recording: takes all that the program did, also what it did before it failed.

    Raises:
        RefusedError: see above; also where the program itself swallowed it.
        Exception: what the program raised.
    """

    def run() -> None:
        configured = mocks.MockSettings(  # type: ignore[no-untyped-call] # the SDK's constructor has no types
            monitor=_Monitor(recording, answers),
            engine=_Engine(recording),
            callbacks=_Hooks(recording),
            project=PROJECT,
            stack=stack,
            organization=ORGANIZATION,
            root_directory=str(root or Path.cwd()),
            monitor_features=set(),
            outputs=set(),
            dry_run=False,
        )
        settings.configure(configured)
        pulumi.runtime.set_all_config(dict(config or {}))
        # As the language host does: after a failure there are always futures that nobody has looked at.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(run_in_stack(program))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            loop.close()

    try:
        # Pulumi keeps its state in context variables: a fresh context is a fresh program.
        contextvars.Context().run(run)
    except RefusedError:
        raise
    except Exception:
        if recording.refusals:
            raise recording.refusals[0] from None
        raise
    if recording.refusals:
        raise recording.refusals[0]


def _plain(properties: Any) -> dict[str, Any]:
    return {name: _whole(value) for name, value in rpc.deserialize_properties(properties).items()}


def _whole(value: Any) -> Any:
    """The wire has one type for numbers; whole ones become whole again."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _struct(properties: Mapping[str, Any]) -> Any:
    # There are no outputs in it, so the coroutine ends without ever waiting.
    coroutine = rpc.serialize_properties(dict(properties), {})
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("plain values need no waiting")
