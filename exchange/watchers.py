"""Who waits for rows to change: told as caches are, by this worker's commits and by the log."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Watchers:
    """Events by the ids of rows; for one event loop."""

    def __init__(self) -> None:
        self._by_id: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def watch(self, ids: Iterable[str]) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever one of these rows may have changed."""
        event, own = asyncio.Event(), set(ids)
        for row_id in own:
            self._by_id.setdefault(row_id, set()).add(event)
        try:
            yield event
        finally:
            for row_id in own:
                waiting = self._by_id[row_id]
                waiting.discard(event)
                if not waiting:
                    del self._by_id[row_id]

    def drop(self, ids: Iterable[str]) -> None:
        """Tell whoever waits for these rows."""
        for row_id in ids:
            for event in self._by_id.get(row_id, ()):
                event.set()
