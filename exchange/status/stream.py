"""One stream of a platform's status list, as server-sent events: a catch-up, deltas, heartbeats."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from exchange.formats.status_token import Change, StatusEvent
from exchange.status.feed import Listener, News, StatusFeed, join

HEARTBEAT_SECONDS: Final = 2.0
STREAM_SECONDS: Final = 60
"""How long a stream lives. Whoever reads it asks anew, so rights are checked each minute, and two
machines' clocks cannot drift apart in it by more than some milliseconds."""

RELOAD: Final = b"event: reload\ndata: {}\n\n"
SOON_SECONDS: Final = 0.1
Sign = Callable[[str, dict[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Line:
    """Whose stream it is, under which nonce, and since when (seconds of the monotonic clock)."""

    provider_id: str
    uri: str
    nonce: str
    began: float
    issuer: str
    sign: Sign

    def event(self, before: int, after: int, as_of: float, changes: Sequence[Change]) -> bytes:
        """Write a delta, or a heartbeat where nothing changed."""
        as_of_ms = int((as_of - self.began) * 1000)
        event = StatusEvent(self.uri, self.nonce, before, after, as_of_ms, changes)
        name = "delta" if changes else "heartbeat"
        token = self.sign(event.kind, event.claims(self.issuer))
        return f"event: {name}\nid: {after}\ndata: {token}\n\n".encode()


async def status_events(
    feed: StatusFeed, line: Line, after: int, seconds: float, is_over: Callable[[], bool]
) -> AsyncGenerator[bytes, None]:
    """Yield what changes after the log had `after` entries, first of all what did already.

    `is_over` is asked at least every HEARTBEAT_SECONDS.

    Raises Unavailable before the first event only: afterwards the stream just ends.
    """
    with feed.listen(line.provider_id) as listener:
        await join(listener)
        found, as_of = await feed.look(after, line.provider_id)
        changes = found.of(line.provider_id)
        if changes is None:
            yield RELOAD
            return
        yield line.event(after, found.log_index, as_of, changes)
        at, end = found.log_index, line.began + seconds
        due = time.monotonic() + HEARTBEAT_SECONDS
        while not is_over() and (now := time.monotonic()) < end:
            news = await _next(listener, min(due, end) - now)
            if listener.is_lost or (news is not None and news.changes is None):
                yield RELOAD
                return
            if news is not None:
                if news.changes and news.log_index > at:
                    yield line.event(at, news.log_index, news.as_of, news.changes)
                    at, due = news.log_index, time.monotonic() + HEARTBEAT_SECONDS
            elif time.monotonic() >= due and listener.news.empty():
                # Whatever the feed saw up to here it has told: nothing of it waits.
                if feed.log_index < at or feed.as_of < line.began:
                    due = time.monotonic() + SOON_SECONDS
                    continue
                before, at = at, feed.log_index
                yield line.event(before, at, feed.as_of, ())
                due = time.monotonic() + HEARTBEAT_SECONDS


async def _next(listener: Listener, seconds: float) -> News | None:
    """Return the next news; None where none comes in time. One that comes then is not lost."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            return await listener.news.get()
    except TimeoutError:
        return None
