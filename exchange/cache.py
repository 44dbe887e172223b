"""Rows kept in memory until the log says that they changed. A stale row cannot harm: the ledger
rechecks the rev of every row that a decision read."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class RowCache(Generic[T]):
    """At most `capacity` rows by id, the least recently used dropped first."""

    def __init__(self, load: Callable[[str], Awaitable[T | None]], capacity: int = 10_000) -> None:
        self._load = load
        self._rows: OrderedDict[str, T] = OrderedDict()
        self._capacity = capacity
        self._loading: dict[str, int] = {}
        self._outdated: set[str] = set()

    async def get(self, row_id: str, *, fresh: bool = False) -> T | None:
        """Return the row, from memory unless `fresh`; None when there is none."""
        if not fresh and (row := self._rows.get(row_id)) is not None:
            self._rows.move_to_end(row_id)
            return row
        self._loading[row_id] = self._loading.get(row_id, 0) + 1
        try:
            loaded = await self._load(row_id)
            if loaded is not None:
                self._rows[row_id] = loaded
                if len(self._rows) > self._capacity:
                    self._rows.popitem(last=False)
            return loaded
        finally:
            if row_id in self._outdated:  # dropped while it was read: this may be from before
                self._rows.pop(row_id, None)
            self._loading[row_id] -= 1
            if not self._loading[row_id]:
                del self._loading[row_id]
                self._outdated.discard(row_id)

    def drop(self, ids: Iterable[str]) -> None:
        """Forget rows that changed; called from any thread."""
        for row_id in ids:
            if row_id in self._loading:
                self._outdated.add(row_id)
            self._rows.pop(row_id, None)
