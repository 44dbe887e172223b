"""Connections to one service, so many at once; idle ones are watched, and kept for a moment.

One is used again for the same grant only: what a broken service sends late, or a caller made it
send, is then never the answer to somebody else.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

import httpcore

from connectors.forward.limits import Waits
from connectors.forward.problems import busy, timed_out, upstream_problem
from connectors.forward.wire import Wire
from exchange.outward.connect import NotAllowed

MOST_AT_ONCE: Final = 64
"""Most connections to one service."""

IDLE_SECONDS: Final = 2.0
"""How long a connection is kept without a call: shorter than servers do, which end it first."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is, as its platform's connection says."""

    scheme: str
    host: str
    port: int


class Pool:
    """Connections to one service. `take` one, then `give` it back or `drop` it."""

    def __init__(
        self,
        address: Address,
        backend: httpcore.AsyncNetworkBackend,
        tls: ssl.SSLContext,
        waits: Waits,
    ) -> None:
        self._address, self._backend, self._tls, self._waits = address, backend, tls, waits
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._idle: list[_Idle] = []
        self._taken = 0
        self._is_closed = False

    @property
    def is_unused(self) -> bool:
        """Whether nobody has or keeps a connection."""
        return not self._taken and not any(not idle.is_over for idle in self._idle)

    async def take(self, grant_id: str) -> Wire:
        """Return a connection on which nothing was sent; raises SourceProblem."""
        try:
            async with asyncio.timeout(self._waits.slot):
                await self._slots.acquire()
        except TimeoutError as error:
            raise busy() from error
        self._taken += 1
        try:
            while own := [idle for idle in self._idle if idle.grant_id == grant_id]:
                self._idle.remove(own[-1])
                wire = await own[-1].claim()
                if wire is not None:
                    return wire
            return await self.connect()
        except BaseException:
            self._release()
            raise

    async def connect(self) -> Wire:
        """Open a connection in the place of one that was taken; raises SourceProblem."""
        stream: httpcore.AsyncNetworkStream | None = None
        try:
            async with asyncio.timeout(self._waits.connect):
                address = self._address
                stream = await self._backend.connect_tcp(address.host, address.port)
                if address.scheme == "https":
                    stream = await stream.start_tls(self._tls, address.host)
            return Wire(stream, self._waits.between)
        except BaseException as error:
            if stream is not None:
                await Wire(stream, 0).close()
            if isinstance(error, NotAllowed):
                detail = "The platform's service is at an address that is not allowed."
                raise upstream_problem("upstream_address_refused", detail) from error
            if isinstance(error, (TimeoutError, httpcore.TimeoutException)):
                raise timed_out("The platform's service takes no connection in time.") from error
            if isinstance(error, (httpcore.NetworkError, OSError)):
                detail = "No connection to the platform's service can be made."
                raise upstream_problem("upstream_unreachable", detail) from error
            raise

    def give(self, wire: Wire, grant_id: str) -> bool:
        """Give a connection back whose exchange has ended; False where it must be dropped."""
        self._idle = [idle for idle in self._idle if not idle.is_over]
        if self._is_closed or len(self._idle) >= MOST_AT_ONCE or not wire.reuse():
            return False
        self._idle.append(_Idle(wire, grant_id))
        self._release()
        return True

    async def drop(self, wire: Wire) -> None:
        """Close a connection that was taken."""
        self._release()
        await wire.close()

    async def close(self) -> None:
        """Close what is idle; what is taken is closed when it comes back."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        for each in idle:
            wire = await each.claim()
            if wire is not None:
                await wire.close()

    def _release(self) -> None:
        self._taken -= 1
        self._slots.release()


class _Idle:
    """A connection that waits: when anything comes on it, or its time is over, it is closed."""

    def __init__(self, wire: Wire, grant_id: str) -> None:
        self._wire, self.grant_id = wire, grant_id
        self.is_over = False
        self._watch = asyncio.create_task(self._wait())

    async def claim(self) -> Wire | None:
        """Return it for use, or None where it is over."""
        self._watch.cancel()
        await asyncio.wait([self._watch])
        if self.is_over:
            return None
        if self._wire.is_silent:
            return self._wire
        await self._wire.close()
        return None

    async def _wait(self) -> None:
        await self._wire.wait_idle(IDLE_SECONDS)
        self.is_over = True
        await self._wire.close()
