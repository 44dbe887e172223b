"""A recorded use while it runs: interrupted when its grant stands no more, its end always told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal

from connectors.gateway.door import Delivery, Door, DoorRefused, DoorUnavailable, Use
from connectors.gateway.verify import Trust, door_problem

WATCH_SECONDS: Final = 0.5
"""How often a delivery asks whether its grant still stands."""

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


@dataclass(frozen=True, slots=True)
class Recorded:
    """A use that the exchange has recorded: what is needed to go on, and to say how it ended."""

    use_id: str
    door: Door
    stands: Callable[[], Awaitable[bool]]

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Interruption]:
        """Interrupt what runs inside once the grant no longer stands, or nobody can say."""
        async with Interruption() as interruption:
            watch = asyncio.create_task(self._watch(interruption))
            try:
                yield interruption
            finally:
                watch.cancel()

    async def finished(self, sent_bytes: int, *, complete: bool) -> None:
        """Tell the door how the use ended; never raises."""
        try:
            await self.door.finished(self.use_id, sent_bytes, complete)
        except Exception:
            # Best effort: a use without an end is closed as "unknown" by the exchange.
            _log.warning("the end of use %s was not recorded", self.use_id, exc_info=True)

    async def _watch(self, interruption: Interruption) -> None:
        stands = True
        while stands:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                stands = await self.stands()
            except Exception:
                _log.warning("whether a grant stands cannot be told", exc_info=True)
                stands = False
        interruption.interrupt("grant")


async def record(trust: Trust, delivery: Delivery, use: Use) -> Recorded:
    """Record a use durably: only then may a byte be released. Raises GatewayProblem."""

    async def stands() -> bool:
        now = await trust.door.look_up(delivery.grant_id)
        return now is not None and now.status == "active" and trust.clock() < now.ends_ms

    try:
        return Recorded(await trust.door.record(use), trust.door, stands)
    except (DoorRefused, DoorUnavailable) as error:
        raise door_problem(error) from error
