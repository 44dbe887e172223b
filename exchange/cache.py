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
        self._drops = 0

    async def get(self, row_id: str, *, fresh: bool = False) -> T | None:
        """Return the row, from memory unless `fresh`; None when there is none."""
        if not fresh and (row := self._rows.get(row_id)) is not None:
            self._rows.move_to_end(row_id)
            return row
        drops = self._drops
        loaded = await self._load(row_id)
        if loaded is not None and drops == self._drops:  # else it may have changed while loading
            self._rows[row_id] = loaded
            if len(self._rows) > self._capacity:
                self._rows.popitem(last=False)
        return loaded

    def drop(self, ids: Iterable[str]) -> None:
        """Forget rows that changed; called from any thread."""
        self._drops += 1
        for row_id in ids:
            self._rows.pop(row_id, None)
