"""Threads for what resource hooks wait for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Of our own: the event loop's default threads are all taken by registrations, and those wait for the hooks to end.
_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="hook")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a blocking function of a hook without holding up the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, lambda: function(*args, **kwargs))
