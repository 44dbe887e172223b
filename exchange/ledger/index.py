"""The search index of the log: a projection that a durable follower builds in whole chunks.

It lags behind by less than a chunk and a poll; a search reads the rest of the log itself. So a
busy log pays one more commit a chunk, and a quiet one nothing.
"""

import asyncio
import logging
from collections.abc import Sequence

from exchange.ledger.follow import Follower
from exchange.ledger.ledger import FOLLOW_POLL_SECONDS, Leaf, Ledger
from exchange.ledger.refs import refs_of
from exchange.ledger.tables import LogHours, LogRef
from exchange.ledger.write import Insert, Write

REFS = LogRef.__table__  # type: ignore[attr-defined]
HOURS = LogHours.__table__  # type: ignore[attr-defined]
FOLLOWER = "log_index_1"  # another number builds it anew
CHUNK = 256
HOUR_MS = 3_600_000
log_to = logging.getLogger("exchange.ledger")


class LogIndex:
    """Builds the index of one log."""

    def __init__(self, ledger: Ledger, chunk: int = CHUNK) -> None:
        self._ledger, self._chunk = ledger, chunk
        self._follower = Follower(ledger, FOLLOWER, self._handle, chunk)

    async def step(self) -> int:
        """Index the next chunk, if the log holds all of it; return how many entries that were."""
        place = await self._follower.place()
        after = (place.next_index if place is not None else 0) + self._chunk
        if await self._ledger.size() < after:
            return 0
        return await self._follower.step()

    async def _handle(self, leaves: Sequence[Leaf]) -> Write:
        return await asyncio.to_thread(index_rows, self._ledger.log_id, leaves)

    async def run(self) -> None:
        """Follow for ever; whatever goes wrong is logged and tried again."""
        while True:
            try:
                if not await self.step():
                    await asyncio.sleep(FOLLOW_POLL_SECONDS)
            except Exception:
                log_to.exception("index_waits")
                await asyncio.sleep(1)


def index_rows(log_id: str, leaves: Sequence[Leaf]) -> Write:
    """Return what a chunk adds: a row a ref and entry, and a row an hour that the chunk meets."""
    inserts = []
    hours: dict[int, tuple[int, int]] = {}
    for leaf in leaves:
        for ref in sorted(refs_of(leaf)):
            row = {"log_id": log_id, "ref": ref, "leaf_index": leaf.index}
            inserts.append(Insert(REFS, row))
        hour = leaf.time_ms // HOUR_MS
        first, _ = hours.get(hour, (leaf.index, 0))
        hours[hour] = first, leaf.index
    for hour, (first, last) in hours.items():
        row = {"log_id": log_id, "hour": hour, "first_index": first, "last_index": last}
        inserts.append(Insert(HOURS, row))
    return Write(inserts=inserts)
