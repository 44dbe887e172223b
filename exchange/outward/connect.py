"""Connecting outward: the address that was checked is the one connected to."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

from exchange.outward.allow import AllowList

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
MOST_ADDRESSES = 3


class NotAllowed(httpcore.ConnectError):
    """The name resolves to no address that is allowed."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects where the list allows: the address that was checked is the one connected to."""

    def __init__(self, allow: AllowList, resolve: Resolve) -> None:
        self._allow, self._resolve = allow, resolve
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect; raises NotAllowed."""
        try:
            async with asyncio.timeout(timeout):
                found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:  # the latter for what no name can be
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        allowed = [each for each in found if self._allow.permits(host, port, each)]
        if not allowed:
            raise NotAllowed(f"{host} resolves to no allowed address")
        *others, last = allowed[:MOST_ADDRESSES]
        for address in others:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._plain.connect_tcp(address, port, timeout)
        return await self._plain.connect_tcp(last, port, timeout)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: a path is no address that could be allowed."""
        raise NotAllowed("not a network address")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Names:
    """Looks names up in threads of its own: one that hangs must not take those of others."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(16, thread_name_prefix=name)

    async def look_up(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host; raises OSError, UnicodeError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(each[4][0]) for each in found))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
