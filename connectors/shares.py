"""Threads for what blocks, shared so that no one may keep all of them waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

P = ParamSpec("P")
T = TypeVar("T")


class Shares:
    """For one event loop. Each who asks may have `each` of the `threads` at work."""

    def __init__(self, name: str, *, threads: int, each: int) -> None:
        self._threads, self._each = ThreadPoolExecutor(threads, name), each
        self._slots: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def run(self, who: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` gives, once there is a thread for `who`."""
        slots = self._slots.get(who)
        if slots is None:
            slots = self._slots[who] = asyncio.Semaphore(self._each)
        async with slots:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
