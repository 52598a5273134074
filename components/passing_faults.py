"""Passing faults of Azure DevOps (429, 5xx, dropped connections) don't fail an `up`: its operations are repeated.

The provider repeats nothing itself. An `ErrorHook` on every resource of it says whether to try once more, after a
growing wait. A create must not be doubled, and a fault says nothing about whether the service had done the work. So
before each create the service is asked what there is already that looks like it, and that is noted down; after a fault
what has come since is the cut-off create's, is removed, and the create is repeated. The notes outlive the process: the
next `up` after a killed one finds them and clears up in the same way.

Source: https://www.pulumi.com/docs/iac/concepts/resources/options/hooks/
"""

import asyncio
import re

import pulumi

from components.azure_devops_token import NoTokenError
from components.footprints import KINDS, AzureDevOps, Kind
from components.hook_threads import in_thread
from components.unfinished import Unfinished

LONGEST_WAIT_SECONDS = 60

# What the provider makes of a status or a broken connection; it keeps the status itself to itself.
PASSING = re.compile(
    r"""
    TF400733 | exceeding\ usage | Too\ Many\ Requests | rate\ limit             # 429
    | TF400898 | Internal\ Server\ Error | internal\ error                      # 500
    | Bad\ Gateway | Service\ Unavailable | Gateway\ Time-?out                  # 502, 503, 504
    | TF30063\b(?=.*try) | TF246017 | temporarily | try\ again
    | returned\ status(?::|\ code)\ (?:429|50[0234])
    | invalid\ character\ '<'\ looking\ for\ beginning\ of\ value              # a gateway's HTML page
    | unexpected\ end\ of\ JSON\ input
    | connection\ (?:reset|refused) | broken\ pipe | server\ closed\ idle\ connection
    | \bEOF\b | i/o\ timeout | TLS\ handshake\ timeout | deadline\ exceeded
    | timeout\ (?:exceeded|awaiting)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_passing(message: str) -> bool:
    """Whether the provider's words for a failure speak of something that passes by itself."""
    return PASSING.search(message) is not None


def wait_seconds(failures: int) -> int:
    """How long to wait after so many failures in a row: 1, 2, 4 ... seconds, a minute at most."""
    return min(LONGEST_WAIT_SECONDS, 1 << max(0, failures - 1))


def repeat_after_passing_faults(organization_url: str, attempts: int) -> None:
    """Puts the hooks on every resource of the azuredevops provider that the program makes from now on.

    Args:
        organization_url: where to look for what a cut-off create left.
        attempts: how often an operation is tried at the most.
    """
    repeater = _Repeater(AzureDevOps(organization_url), Unfinished(organization_url), attempts)
    on_error = pulumi.ErrorHook("repeat-after-passing-fault", repeater.after_failure)
    look = pulumi.ResourceHook("look-before-create", repeater.before_create)
    done = pulumi.ResourceHook("note-after-create", repeater.after_create)

    def bind(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not args.type_.startswith("azuredevops:"):
            return None
        hooks = pulumi.ResourceHookBinding(on_error=[on_error])
        if args.type_ in KINDS:
            hooks = pulumi.ResourceHookBinding(before_create=[look], after_create=[done], on_error=[on_error])
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=hooks))
        return pulumi.ResourceTransformationResult(args.props, opts)

    pulumi.runtime.register_stack_transformation(bind)


class _Repeater:
    """The hooks' functions. Those of `AzureDevOps` and `Unfinished` block, so they run in threads."""

    def __init__(self, service: AzureDevOps, unfinished: Unfinished, attempts: int) -> None:
        self._service = service
        self._unfinished = unfinished
        self._attempts = attempts

    async def before_create(self, args: pulumi.ResourceHookArgs) -> None:
        kind, inputs = KINDS[args.type], dict(args.new_inputs or {})
        try:
            await in_thread(self._clear_up, args.urn, kind, inputs)
            there = await in_thread(kind.find, self._service, inputs)
        except NoTokenError:
            return
        if kind.unique and there:
            raise RuntimeError(
                f"Azure DevOps has {kind.words(inputs)} already, and this stack doesn't manage it. Choose another "
                "name, set `adopt: true` where the settings offer it, delete it there, or take it into the stack: "
                f"`pulumi import {args.type} {args.name} ID`."
            )
        self._unfinished.begin(args.urn, there)

    async def after_create(self, args: pulumi.ResourceHookArgs) -> None:
        self._unfinished.created(args.urn, args.id)

    async def after_failure(self, args: pulumi.ErrorHookArgs) -> bool:
        newest, failures = args.errors[0], len(args.errors)
        passing = is_passing(newest)
        again = passing and failures < self._attempts
        if args.failed_operation == "create" and args.type in KINDS:
            cleared = await self._clear_up_after(args, wait=passing)
            if cleared and not again:
                # Nothing is left: what the next `up` finds was made by somebody, not by this create.
                self._unfinished.end(args.urn)
            again = again and cleared
        elif again:
            await asyncio.sleep(wait_seconds(failures))
        return again

    async def _clear_up_after(self, args: pulumi.ErrorHookArgs, *, wait: bool) -> bool:
        kind, inputs = KINDS[args.type], dict(args.new_inputs or {})
        if wait:
            await asyncio.sleep(wait_seconds(len(args.errors)))
        try:
            if wait:
                # Without a token there is no note either, and a repeated create may be a second one.
                await in_thread(self._service.sign_in)
            await in_thread(self._clear_up, args.urn, kind, inputs)
        except NoTokenError as error:
            pulumi.log.warn(f"{args.name} is not tried again: {error}")
            return False
        except Exception as error:  # noqa: BLE001 - the create's own failure is what the user must see
            pulumi.log.warn(f"{args.name} is not tried again: what is left of it could not be looked for: {error}")
            return False
        return True

    def _clear_up(self, urn: str, kind: Kind, inputs: dict[str, object]) -> None:
        """Removes what an earlier create of this resource, which the state doesn't know, has left."""
        if not self._unfinished.noted(urn):
            return
        for found in sorted(self._unfinished.leftovers(urn, kind.find(self._service, inputs))):
            pulumi.log.warn(f"removing {kind.words(inputs)} ({found}), which an interrupted create has left")
            kind.remove(self._service, inputs, found)
