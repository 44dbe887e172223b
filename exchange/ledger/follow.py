"""Followers that remember how far they came: each entry is handled once, on one worker of many.

A follower's handler returns what handling some entries writes; the ledger commits that together
with the follower's new place, on condition that nobody else has moved it. The log is the only
outbox, so whoever was away catches up.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from exchange.ledger.ledger import FOLLOW_POLL_SECONDS, Leaf, Ledger
from exchange.ledger.tables import FollowerRow
from exchange.ledger.write import Insert, Stale, Update, Write

FOLLOWERS = FollowerRow.__table__  # type: ignore[attr-defined]
Handler = Callable[[Sequence[Leaf]], Awaitable[Write]]
log_to = logging.getLogger("exchange.ledger")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a follower stands: the index of the entry that it handles next."""

    next_index: int
    rev: int


def read_place(connection: Connection, log_id: str, name: str) -> Place | None:
    """Return where a follower stands; None before its first step."""
    query = select(FOLLOWERS.c.next_index, FOLLOWERS.c.rev).where(
        FOLLOWERS.c.log_id == log_id, FOLLOWERS.c.id == name
    )
    row = connection.execute(query).one_or_none()
    return Place(row.next_index, row.rev) if row is not None else None


def moved(write: Write, log_id: str, name: str, place: Place | None, after: int) -> Write:
    """Return a write that also moves a follower on, unless another has moved it meanwhile."""
    if place is None:
        row = {"log_id": log_id, "id": name, "next_index": after, "rev": 1}
        return replace(write, inserts=[*write.inserts, Insert(FOLLOWERS, row)])
    update = Update(FOLLOWERS, name, place.rev, {"next_index": after})
    return replace(write, updates=[*write.updates, update])


class Follower:
    """One named reader of one log."""

    def __init__(self, ledger: Ledger, name: str, handle: Handler, limit: int = 500) -> None:
        self._ledger, self.name, self._handle, self._limit = ledger, name, handle, limit

    async def place(self) -> Place | None:
        """Return where it stands."""
        log_id = self._ledger.log_id
        return await self._ledger.db.point(lambda c: read_place(c, log_id, self.name))

    async def step(self) -> int:
        """Handle the next entries; return how many. Another worker may be quicker: then none."""
        place = await self.place()
        start = place.next_index if place is not None else 0
        leaves = await self._ledger.leaves(start, self._limit)
        if not leaves:
            return 0
        write = await self._handle(leaves)
        after = leaves[-1].index + 1
        try:
            await self._ledger.commit(moved(write, self._ledger.log_id, self.name, place, after))
        except Stale:
            return 0
        return len(leaves)

    async def run(self) -> None:
        """Follow for ever; whatever goes wrong is logged and tried again."""
        while True:
            try:
                if not await self.step():
                    await asyncio.sleep(FOLLOW_POLL_SECONDS)
            except Exception:
                log_to.exception("follower_waits")
                await asyncio.sleep(1)
