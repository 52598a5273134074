"""Whether inputs are what the SDK's class of a resource takes: names, types and what is required, at any depth."""

import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

import pulumi
from pulumi import _types as sdk_types

from components.sdk import azuredevops, databricks

PACKAGES: Mapping[str, Any] = {"azuredevops": azuredevops, "databricks": databricks}


def mistakes(type_token: str, inputs: Mapping[str, Any]) -> list[str]:
    """What is wrong with the inputs of a resource.

    Args:
        type_token: such as `azuredevops:index/git:Git`.
        inputs: with the names of the wire.
    """
    package, _, kind = type_token.split(":")
    if package not in PACKAGES:
        return [f"there is no SDK for the package {package!r}"]
    resource = getattr(PACKAGES[package], kind)
    return list(_of_mapping(inputs, getattr(sys.modules[resource.__module__], f"{kind}Args"), ""))


def _of_mapping(inputs: Mapping[str, Any], args: type, at: str) -> Iterator[str]:
    known = sdk_types.input_type_types(args)
    names = sdk_types.input_type_py_to_pulumi_names(args)
    required = {
        names[name]
        for name, parameter in inspect.signature(args).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    for name in sorted(required - inputs.keys()):
        yield f"{at}{name} is required and missing"
    for name, value in inputs.items():
        if name not in known:
            yield f"{at}{name} is no input of {args.__name__}"
        else:
            yield from _of_value(value, list(_options(known[name])), f"{at}{name}")


def _of_value(value: Any, options: Sequence[Any], at: str) -> Iterator[str]:
    """One of the options has to fit; without a fitting one, what is wrong with the first of the right shape."""
    complaints = [list(_of_option(value, option, at)) for option in options]
    if all(complaints):
        yield from min(complaints, key=len)


def _of_option(value: Any, option: Any, at: str) -> Iterator[str]:
    origin = get_origin(option) or option
    if isinstance(value, Mapping):
        if isinstance(origin, type) and sdk_types.is_input_type(origin):
            yield from _of_mapping(value, origin, f"{at}.")
            return
        if origin in (dict, Mapping):
            for key, item in value.items():
                yield from _of_value(item, list(_options(get_args(option)[1])), f"{at}.{key}")
            return
    elif isinstance(value, list) and origin in (list, Sequence):
        for number, item in enumerate(value):
            yield from _of_value(item, list(_options(get_args(option)[0])), f"{at}[{number}]")
        return
    elif origin in (str, bool, int, float) and _is_scalar(value, origin):
        return
    yield f"{at} is {value!r}, not {getattr(option, '__name__', option)}"


def _is_scalar(value: Any, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is wanted


def _options(annotation: Any) -> Iterator[Any]:
    """The plain types in an annotation: without outputs, awaitables and None."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _options(each)
    elif origin in (list, dict, Sequence, Mapping) or (origin is None and _is_plain(annotation)):
        yield annotation


def _is_plain(annotation: Any) -> bool:
    """Not a typed dictionary either, the SDK's other form of each nested type: its class alone is asked here."""
    return annotation not in (type(None), pulumi.Output) and not hasattr(annotation, "__total__")
