"""What a status list says, event after event, and how old that is: no I/O, no wall clock.

Each event names the size of the log before and after it. One whose "before" is not where the list
stands leaves a gap: the list is fetched again. How old the list is counts from before the stream
was asked for: an event that says "so it was after 4 s" cannot be younger than that, whenever it
arrives. So neither what is held back nor what is played again makes anything younger.
"""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.gateway.status import STALE_SECONDS, StatusStale
from exchange.formats.status_list import WORDS, Word
from exchange.formats.status_token import ListToken, StatusEvent


class Gap(Exception):
    """Something between the list and this event is missing: fetch the list again."""


class StatusState:
    """One list, as of a size of the log and of a moment of this machine's monotonic clock."""

    def __init__(self, listed: ListToken) -> None:
        """Begin with a list of unknown age: a list alone proves none."""
        self._statuses = listed.statuses
        self.log_index = listed.log_index
        self.known_at = -math.inf

    def accept(self, event: StatusEvent, asked_at: float, now: float) -> list[int] | None:
        """Take a verified event of the stream that was asked for at `asked_at` (seconds).

        Return the indexes that it sets; None for one played again. Raises Gap.
        """
        if event.previous_index != self.log_index:
            if event.log_index <= self.log_index:
                return None
            raise Gap("an event was left out")
        known_at = min(asked_at + event.as_of_ms / 1000, now)
        if event.log_index == self.log_index and known_at <= self.known_at:
            return None
        self._statuses.set_all(event.changes)
        self.log_index = event.log_index
        self.known_at = max(self.known_at, known_at)
        return [index for index, _ in event.changes]

    def age(self, now: float) -> float:
        """Return how old what it says is, in seconds; infinite before its stream's first event."""
        return now - self.known_at

    def status(self, index: int, now: float) -> Word:
        """Return a status; raises StatusStale."""
        age = self.age(now)
        if not 0 <= age <= STALE_SECONDS:  # a clock that went back proves nothing either
            raise StatusStale
        if index >= len(self._statuses):  # made a moment ago: its own event is still to come
            raise StatusStale
        return WORDS[self._statuses[index]]


class Watches:
    """Who waits for which indexes to change; for one event loop."""

    def __init__(self) -> None:
        self._by_index: dict[int, set[asyncio.Event]] = {}

    @contextmanager
    def watch(self, index: int) -> Iterator[asyncio.Event]:
        """Give an event that is set when the status at an index may have changed."""
        event = asyncio.Event()
        waiting = self._by_index.setdefault(index, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting and self._by_index.get(index) is waiting:
                del self._by_index[index]

    def tell(self, indexes: list[int] | None = None) -> None:
        """Wake whoever waits for these; None: everybody."""
        for index in list(self._by_index) if indexes is None else indexes:
            for event in self._by_index.get(index, ()):
                event.set()
