"""Follows the log once for all status streams of this worker, and tells each what changed.

This worker's commits wake it at once; those of others it sees as it looks, every POLL_SECONDS,
while anybody listens. What it knows is as old as its last look that succeeded: `as_of` is from
before that look, on this machine's monotonic clock.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from exchange.errors import Unavailable
from exchange.formats.status_token import Change
from exchange.status.store import Since, StatusStore

POLL_SECONDS: Final = 0.05
JOIN_SECONDS: Final = 5.0
MOST_NEWS: Final = 1_000
MOST_STREAMS: Final = 64
"""Streams of one platform that a worker tells at once."""

log_to = logging.getLogger("exchange.status")


@dataclass(frozen=True, slots=True)
class News:
    """One provider's changes up to a size of the log; None: too many to say."""

    log_index: int
    as_of: float
    changes: Sequence[Change] | None


@dataclass(slots=True, eq=False)
class Listener:
    """One stream's ear: what changed since it `joined`."""

    provider_id: str
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Queue[News] = field(default_factory=lambda: asyncio.Queue(MOST_NEWS))
    is_lost: bool = False  # it did not keep up


class StatusFeed:
    """One worker's follower; for one event loop."""

    def __init__(self, store: StatusStore) -> None:
        self.store = store
        self._listeners = set[Listener]()
        self._wake = asyncio.Event()
        self.log_index, self.as_of = 0, float("-inf")

    def drop(self, _ids: Sequence[str]) -> None:
        """Look at once: rows changed. Told as caches are."""
        if self._listeners:
            self._wake.set()

    @contextmanager
    def listen(self, provider_id: str) -> Iterator[Listener]:
        """Listen to what changes a provider's grants, from when `joined` is set.

        Raises Unavailable where too many listen for it already.
        """
        if sum(each.provider_id == provider_id for each in self._listeners) >= MOST_STREAMS:
            raise Unavailable(
                "too_many_streams",
                f"{MOST_STREAMS} streams of this list are open here.",
                hint="One a connector is enough; a stream ends after a minute.",
            )
        listener = Listener(provider_id)
        self._listeners.add(listener)
        self._wake.set()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def look(self, start: int, provider_id: str) -> tuple[Since, float]:
        """Return what changed from `start` on, and from before when it is so."""
        as_of = time.monotonic()
        return await self.store.since(start, (provider_id,)), as_of

    async def run(self) -> None:
        """Follow for ever; a look that fails makes nothing younger, and is tried again."""
        while True:
            self._wake.clear()
            try:
                if self._listeners:
                    await self._step()
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
                else:
                    await self._wake.wait()
            except TimeoutError:
                pass
            except Exception:
                log_to.exception("follower_waits")
                await asyncio.sleep(0.5)

    async def _step(self) -> None:
        """Look once, for those who have joined. Who is new joins afterwards, and catches up."""
        joined = [each for each in self._listeners if each.joined.is_set()]
        as_of = time.monotonic()
        if joined:
            providers = {each.provider_id for each in joined}
            found = await self.store.since(self.log_index, providers)
        else:
            found = Since(await self.store.ledger.size(), {})
        self.log_index, self.as_of = found.log_index, as_of
        for listener in joined:
            self._tell(listener, found, as_of)
        for listener in self._listeners:  # without a pause since log_index was set
            listener.joined.set()

    def _tell(self, listener: Listener, found: Since, as_of: float) -> None:
        changes = found.of(listener.provider_id)
        if changes is not None and not changes:
            return
        try:
            listener.news.put_nowait(News(found.log_index, as_of, changes))
        except asyncio.QueueFull:
            listener.is_lost = True


async def join(listener: Listener) -> None:
    """Wait until the feed tells a listener whatever comes; raises Unavailable."""
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            await listener.joined.wait()
    except TimeoutError as error:
        raise Unavailable("database_unavailable", "The log cannot be followed now.") from error
