"""A recorded use while it runs: interrupted when its grant stands no more, its end always told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Final, Literal

from connectors.gateway.door import LEASE_SECONDS, Delivery, Door, DoorRefused, DoorUnavailable, Use
from connectors.gateway.problems import GatewayProblem, NotHere, Refused
from connectors.gateway.verify import Trust, door_problem

LOOK_SECONDS: Final = 0.5
"""How often it is asked whether a grant still stands, though nothing was told of it."""

FIRST_SECONDS: Final = 0.05
"""When it is asked first: what changed between the recording and the watch was told to nobody. Most
calls are over by then, and each look costs about a fifth of what else is done for a call."""

AHEAD_BYTES: Final = 1024 * 1024
"""What a call's answer reserves at once."""

RATE: Final = "calls_per_minute"
Why = Literal["grant", "reader", "body"]
_log = logging.getLogger(__name__)


class DeliveryCut(Exception):
    """A delivery that had begun and cannot go on; the server closes the connection on it."""


class Interruption:
    """Ends what runs inside `async with`, from another task, as a TimeoutError; `why` says why."""

    def __init__(self) -> None:
        self._limit: asyncio.Timeout | None = None
        self.why: Why | None = None

    async def __aenter__(self) -> "Interruption":
        self._limit = asyncio.timeout(None)
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        limit, self._limit = self._limit, None
        if limit is not None:
            await limit.__aexit__(kind, error, trace)

    def interrupt(self, why: Why) -> None:
        """End it now; the first reason is kept."""
        if self._limit is not None and self.why is None:
            self.why = why
            self._limit.reschedule(asyncio.get_running_loop().time())


class Recorded:
    """A use that the exchange has recorded: what is needed to go on, and to say how it ended.

    `clock` gives UTC milliseconds.
    """

    def __init__(
        self, door: Door, delivery: Delivery, use_id: str, clock: Callable[[], int]
    ) -> None:
        self.use_id = use_id
        self._door, self._delivery, self._clock = door, delivery, clock
        self._left = 1  # of what is reserved: a call begins with one byte
        self.over: GatewayProblem | None = None  # why its grant stands no more
        self._is_leased = not delivery.obligations.keys().isdisjoint(("bytes", "concurrent"))

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Interruption]:
        """Interrupt what runs inside once the grant no longer stands, or nobody can say."""
        async with Interruption() as interruption:
            watch = asyncio.create_task(self._watch(interruption))
            try:
                yield interruption
            finally:
                watch.cancel()

    async def reserve(self, count: int) -> None:
        """Reserve what a call's answer will have, where it says so; raises GatewayProblem.

        Before its head is passed on: what is refused then is told, and not cut.
        """
        await self._hold(count, count)

    async def spend(self, count: int) -> None:
        """Reserve bytes of a call's answer before they are delivered; raises GatewayProblem."""
        await self._hold(count, AHEAD_BYTES)
        self._left -= count

    async def _hold(self, count: int, ahead: int) -> None:
        """Hold so many bytes at least, and reserve `ahead` at once, since each time is a commit."""
        lacking = count - self._left
        if lacking <= 0 or "bytes" not in self._delivery.obligations:
            return
        try:
            self._left += await self._reserve(lacking, ahead)
        except (DoorRefused, DoorUnavailable) as error:
            raise door_problem(error) from error

    async def _reserve(self, least: int, ahead: int) -> int:
        if least < ahead:  # near the end of the allowance what is due
            with suppress(DoorRefused):
                await self._door.extend(self.use_id, ahead)
                return ahead
        await self._door.extend(self.use_id, least)
        return least

    async def finished(self, sent_bytes: int, *, complete: bool) -> None:
        """Tell the door how the use ended; never raises."""
        try:
            await self._door.finished(self.use_id, sent_bytes, complete)
        except Exception:
            # Best effort: a use without an end is closed as "unknown" by the exchange.
            _log.warning("the end of use %s was not recorded", self.use_id, exc_info=True)

    async def until_over(self) -> None:
        """Return once the grant no longer stands, or nobody can say that it does."""
        loop = asyncio.get_running_loop()
        extended = loop.time()
        wait = min(FIRST_SECONDS, LOOK_SECONDS)
        with self._door.watch(self._delivery) as changed:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await changed.wait()
                changed.clear()
                wait = LOOK_SECONDS
                self.over = await self._looked()
                if self.over is not None:
                    return
                if self._is_leased and loop.time() - extended > LEASE_SECONDS / 3:
                    began = loop.time()
                    self.over = await self._extended()
                    if self.over is not None:
                        return
                    extended = began

    async def _watch(self, interruption: Interruption) -> None:
        await self.until_over()
        interruption.interrupt("grant")

    async def _looked(self) -> GatewayProblem | None:
        """Return why the grant stands no more; None while it does."""
        try:
            now = await self._door.look_up(self._delivery.grant_id)
        except DoorRefused as error:
            return door_problem(error)
        except Exception:
            _log.warning("whether a grant stands cannot be told", exc_info=True)
            return _nobody_can_say()
        if now is None:
            return NotHere("grant_not_found", "The exchange does not know this grant any more.")
        state = "ended" if now.status == "active" and self._clock() >= now.ends_ms else now.status
        if state == "active":
            return None
        verb = "ended" if state == "ended" else f"was {state}"
        return Refused(f"grant_{state}", f"The grant {verb} while this ran.")

    async def _extended(self) -> GatewayProblem | None:
        try:
            await self._door.extend(self.use_id, 0)
        except DoorRefused as error:
            return door_problem(error)
        except Exception:
            _log.warning("the lease of use %s is not extended", self.use_id, exc_info=True)
            return _nobody_can_say()
        return None


async def count(trust: Trust, delivery: Delivery) -> None:
    """Count what is answered without data, under grants that have a rate; raises GatewayProblem."""
    if RATE not in delivery.obligations:
        return
    try:
        await trust.door.count(delivery)
    except (DoorRefused, DoorUnavailable) as error:
        raise door_problem(error) from error


def _nobody_can_say() -> GatewayProblem:
    return GatewayProblem(
        "exchange_unavailable",
        503,
        "Whether the grant still stands cannot be told right now.",
        hint="What ran was stopped, and may have been counted. Try again shortly.",
        headers={"Retry-After": "1"},
    )


async def record(trust: Trust, delivery: Delivery, use: Use) -> Recorded:
    """Record a use durably: only then may a byte be released. Raises GatewayProblem."""
    try:
        return Recorded(trust.door, delivery, await trust.door.record(use), trust.clock)
    except (DoorRefused, DoorUnavailable) as error:
        raise door_problem(error) from error
