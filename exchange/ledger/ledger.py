"""The ledger as the domains see it: commit a write, read receipts and entries, follow the log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from exchange.db import Database
from exchange.errors import Unavailable
from exchange.formats.note import Signer
from exchange.formats.receipt import Receipt
from exchange.formats.tiles import Tile
from exchange.ledger.commit import ONCE, Log
from exchange.ledger.keep import Keeper
from exchange.ledger.proving import spend_proof, with_proof
from exchange.ledger.read_tile import read_tile
from exchange.ledger.start import open_log
from exchange.ledger.tables import Entry, LogState
from exchange.ledger.tree import StoredTree
from exchange.ledger.write import Committed, Event, Met, Write, new_event
from exchange.ledger.writer import Writer

LOG = LogState.__table__  # type: ignore[attr-defined]
ENTRIES = Entry.__table__  # type: ignore[attr-defined]
FOLLOW_POLL_SECONDS = 0.25
Listener = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry as followers and auditors read it."""

    index: int
    event_id: str
    type: str
    subject: str
    consumer_id: str | None
    provider_id: str | None
    time_ms: int
    entry: bytes

    @property
    def parties(self) -> tuple[str | None, str | None, str]:
        """Return whose affair it is, as its row says: naming an organisation makes it none."""
        return self.consumer_id, self.provider_id, self.subject


_MET = select(ONCE.c.key, ONCE.c.outcome).where(
    ONCE.c.key.in_(bindparam("keys", expanding=True)), ONCE.c.expires_ms > bindparam("now")
)


class Ledger:
    """One log of one database, open for writing by this process."""

    def __init__(self, db: Database, keeper: Keeper, signer: Signer) -> None:
        self.db = db
        self.log: Log = open_log(db, keeper, signer)
        self.verifier_key = signer.vkey
        self.listeners: list[Listener] = []
        self._keeper = keeper
        self._writer = Writer(db, self.log, keeper, self._released)

    @property
    def log_id(self) -> str:
        """The log's short code, which its rows' ids embed."""
        return self.log.log_id

    @property
    def healthy(self) -> bool:
        """Whether it takes writes."""
        return self._writer.healthy

    def event(self, kind: str, subject: str, data: dict[str, Any], **options: Any) -> Event:
        """Build an event of this log; see `new_event`."""
        return new_event(self.log_id, self.log.origin, kind, subject, data, **options)

    async def commit(self, write: Write) -> Committed | Met:
        """Commit one write, and with it use up the proof of the request that led to it.

        Raises Stale, Exhausted, Unavailable, or Unauthenticated for a proof that was used before.
        """
        result = await self._writer.commit(with_proof(write))
        spend_proof(result)
        return result

    async def met(self, keys: Sequence[str], now_ms: int) -> Met | None:
        """Return the first of these once keys that was met and has not expired."""
        if not keys:
            return None
        wanted = {"keys": list(keys), "now": now_ms}
        rows = await self.db.point(lambda c: c.execute(_MET, wanted).all())
        outcomes: dict[str, Any] = dict(rows)
        return next((Met(key, outcomes[key]) for key in keys if key in outcomes), None)

    def _released(self, writes: Sequence[Write], stale: Sequence[str]) -> None:
        """Tell listeners what changed: here, or elsewhere, as a write that came too late shows."""
        changed = [event.subject for write in writes for event in write.events]
        changed += [update.id for write in writes for update in write.updates]
        changed += stale
        if changed:
            for listener in self.listeners:
                listener(changed)

    async def checkpoint(self) -> str:
        """Return the newest signed checkpoint; raises Unavailable."""
        size, note = await self.db.point(lambda c: _state(c, self.log_id))
        await self._keep(note, size)
        return note

    async def receipt(self, event_id: str) -> tuple[Leaf, Receipt] | None:
        """Return an event's receipt against the newest checkpoint; None when there is no such.

        Raises Unavailable.
        """
        found = await self.db.read(lambda c: _receipt(c, self.log_id, event_id))
        if found is None:
            return None
        leaf, receipt, size = found
        await self._keep(receipt.checkpoint_note, size)
        return leaf, receipt

    async def _keep(self, note: str, size: int) -> None:
        """Keep outside the database whatever is about to be shown.

        A checkpoint can be read a moment before its writer kept it, or after that failed.
        """
        if size <= self._keeper.size:
            return
        try:
            await asyncio.to_thread(self._keeper.keep, note, size)
        except OSError as error:
            raise Unavailable("log_unavailable", "The audit log cannot be shown now.") from error

    async def leaves(self, start: int, limit: int) -> list[Leaf]:
        """Return up to `limit` entries from index `start` on."""
        return await self.db.read(lambda c: _leaves(c, self.log_id, start, limit))

    async def tile(self, tile: Tile) -> bytes | None:
        """Return a tile or an entry bundle; None where the log does not hold all of it yet."""
        return await self.db.read(lambda c: read_tile(c, self.log_id, tile))

    async def size(self) -> int:
        """Return the number of entries."""
        return await self.db.point(lambda c: _state(c, self.log_id)[0])

    async def follow(self, start: int, limit: int = 500) -> AsyncIterator[list[Leaf]]:
        """Yield entries from index `start` on, for ever, in order and without gaps."""
        while True:
            leaves = await self.leaves(start, limit)
            if leaves:
                yield leaves
                start = leaves[-1].index + 1
            else:
                await asyncio.sleep(FOLLOW_POLL_SECONDS)

    def close(self) -> None:
        """Finish waiting writes and free the worker's slot."""
        self._writer.close()
        self._keeper.close()


def _state(connection: Connection, log_id: str) -> tuple[int, str]:
    row = connection.execute(select(LOG.c.size, LOG.c.note).where(LOG.c.log_id == log_id)).one()
    return row.size, row.note


COLUMNS = (
    ENTRIES.c.leaf_index,
    ENTRIES.c.event_id,
    ENTRIES.c.type,
    ENTRIES.c.subject,
    ENTRIES.c.consumer_id,
    ENTRIES.c.provider_id,
    ENTRIES.c.time_ms,
    ENTRIES.c.entry,
)


def _leaves(connection: Connection, log_id: str, start: int, limit: int) -> list[Leaf]:
    query = (
        select(*COLUMNS)
        .where(ENTRIES.c.log_id == log_id, ENTRIES.c.leaf_index >= start)
        .order_by(ENTRIES.c.leaf_index)
        .limit(limit)
    )
    return [Leaf(*row) for row in connection.execute(query)]


def _receipt(
    connection: Connection, log_id: str, event_id: str
) -> tuple[Leaf, Receipt, int] | None:
    size, note = _state(connection, log_id)
    row = connection.execute(
        select(*COLUMNS).where(ENTRIES.c.log_id == log_id, ENTRIES.c.event_id == event_id)
    ).one_or_none()
    if row is None:
        return None
    leaf = Leaf(*row)
    tree = StoredTree(connection, log_id)
    if leaf.index >= size:  # committed between the two reads: ask for the state again
        size, note = _state(connection, log_id)
    return leaf, Receipt(leaf.entry, leaf.index, tree.inclusion(leaf.index, size), note), size
