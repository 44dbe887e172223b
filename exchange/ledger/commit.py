"""One group commit: a batch of writes in one transaction, step by step.

1. lock the log's state;
2. read, a query a table, what the writes name, and admit them in order in memory;
3. insert the rows in bulk, then the entries with contiguous indexes;
4. grow the compact range, sign, store the checkpoint.

Keeping the checkpoint outside the database, and only then releasing, is the writer's (step 5).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

from pydantic_core import from_json
from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)

from exchange.formats.checkpoint import Checkpoint
from exchange.formats.merkle import Extension, leaf_hash
from exchange.formats.note import Signer
from exchange.formats.receipt import Receipt
from exchange.ledger.admit import Seen, admit, names
from exchange.ledger.bulk import among, delete_rows, insert_rows, listed, upsert_rows
from exchange.ledger.tables import Counter, Entry, LogState, OnceKey, StoredCheckpoint, Tile
from exchange.ledger.tree import full_tiles
from exchange.ledger.vacant import fill_vacant
from exchange.ledger.write import Committed, LeafIndex, Once, Outcome, Write

LOG = LogState.__table__  # type: ignore[attr-defined]
ENTRIES = Entry.__table__  # type: ignore[attr-defined]
CHECKPOINTS = StoredCheckpoint.__table__  # type: ignore[attr-defined]
TILES = Tile.__table__  # type: ignore[attr-defined]
ONCE = OnceKey.__table__  # type: ignore[attr-defined]
COUNTERS = Counter.__table__  # type: ignore[attr-defined]


# Statements are built once: building them cost more than running them.
LOCK_LOG = (
    select(LOG.c.size, LOG.c.compact_range)
    .where(LOG.c.log_id == bindparam("log"))
    .with_for_update()
)
GROW_LOG = update(LOG).where(LOG.c.log_id == bindparam("log"))
ADD_CHECKPOINT = insert(CHECKPOINTS)


@dataclass(frozen=True, slots=True)
class Log:
    """Which log, and the key that signs its checkpoints and nothing else."""

    log_id: str
    origin: str
    signer: Signer


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction did: a result a write, and the new checkpoint if the log grew."""

    results: Sequence[Outcome]
    note: str | None
    size: int


def commit(connection: Connection, log: Log, writes: Sequence[Write], now_ms: int) -> Batch:
    """Carry out `writes` on `connection`, inside its transaction."""
    # 1. From here on nobody else grows this log.
    size, packed = connection.execute(LOCK_LOG, {"log": log.log_id}).one()

    # 2. What the decisions saw must still be so.
    seen = _look_up(connection, log.log_id, writes, now_ms)
    refusals = [admit(write, seen) for write in writes]
    admitted = [write for write, refused in zip(writes, refusals, strict=True) if refused is None]
    if not admitted:
        return Batch([r for r in refusals if r is not None], None, size)

    # 3. Rows, then entries.
    first = size
    starts = []
    for write in admitted:
        starts.append(first)
        first += len(write.events)
    events = [event for write in admitted for event in write.events]
    hashes = [leaf_hash(event.entry) for event in events]
    _delete_rows(connection, admitted)
    _insert_rows(connection, admitted, starts)
    _update_rows(connection, log.log_id, admitted)
    _note_once_and_spent(connection, log.log_id, admitted, seen)
    if not events:
        results = [Committed(size, ()) if r is None else r for r in refusals]
        return Batch(results, None, size)
    insert_rows(
        connection,
        ENTRIES,
        [
            {
                "log_id": log.log_id,
                "leaf_index": size + offset,
                "event_id": event.id,
                "type": event.type,
                "subject": event.subject,
                "consumer_id": event.consumer_id,
                "provider_id": event.provider_id,
                "time_ms": event.time_ms,
                "leaf_hash": hashes[offset],
                "entry": event.entry,
            }
            for offset, event in enumerate(events)
        ],
    )

    # 4. The tree and its checkpoint.
    old_range = [packed[i : i + 32] for i in range(0, len(packed), 32)]
    growth = Extension(size, old_range, hashes)
    tiles = full_tiles(connection, log.log_id, size, growth.new_size, hashes)
    if tiles:
        insert_rows(connection, TILES, tiles)
    checkpoint = Checkpoint(log.origin, growth.new_size, growth.root)
    note = log.signer.sign(checkpoint.encode())
    connection.execute(
        ADD_CHECKPOINT,
        {"log_id": log.log_id, "size": growth.new_size, "root": growth.root, "note": note},
    )
    connection.execute(
        GROW_LOG,
        {
            "log": log.log_id,
            "size": growth.new_size,
            "compact_range": b"".join(growth.new_range),
            "note": note,
        },
    )
    results = []
    position = iter(zip(admitted, starts, strict=True))
    for refused in refusals:
        if refused is not None:
            results.append(refused)
            continue
        write, start = next(position)
        receipts = tuple(
            Receipt(event.entry, start + i, growth.proof(start + i), note)
            for i, event in enumerate(write.events)
        )
        results.append(Committed(start, receipts))
    return Batch(results, note, growth.new_size)


def _look_up(connection: Connection, log_id: str, writes: Sequence[Write], now_ms: int) -> Seen:
    """Read the revs, counters and once keys that the writes name, one query a table.

    On PostgreSQL rows outside the log are locked, since another log's writer could change them.
    """
    reads, updates, counters, once = names(writes)
    seen = Seen()
    for lock, keys in ((False, reads - updates), (True, updates)):
        for table, group in groupby(sorted(keys, key=lambda k: (k[0].name, k[1])), lambda k: k[0]):
            ids = listed(connection, [key[1] for key in group])
            for row_id, rev in _revs(connection, table, log_id, ids, lock=lock):
                seen.revs[(table, row_id)] = rev
    if counters:
        for key, value in _counters(connection, log_id, counters):
            seen.counters[key] = value
    if once:
        seen.once.update(_met(connection, once, now_ms))
    return seen


def _revs(connection: Connection, table: Table, log_id: str, ids: Any, *, lock: bool) -> Any:
    query = f"SELECT id, rev FROM {table.name} WHERE {among(connection, 'id')}"  # noqa: S608  ours
    if "log_id" in table.c:
        place = "?" if connection.dialect.name == "sqlite" else "%s"
        return connection.exec_driver_sql(f"{query} AND log_id = {place}", (ids, log_id))
    if connection.dialect.name != "sqlite":
        query += f" ORDER BY id FOR {'UPDATE' if lock else 'SHARE'}"
    return connection.exec_driver_sql(query, (ids,))


def _counters(connection: Connection, log_id: str, keys: Iterable[str]) -> Any:
    query = f"SELECT key, value FROM counters WHERE {among(connection, 'key')}"  # noqa: S608  ours
    place = "?" if connection.dialect.name == "sqlite" else "%s"
    return connection.exec_driver_sql(
        f"{query} AND log_id = {place}", (listed(connection, keys), log_id)
    )


def _met(connection: Connection, keys: Iterable[str], now_ms: int) -> dict[str, Any]:
    """Return the outcomes of the once keys that were met and have not expired.

    By key alone: asked for the time too, a planner without statistics may walk that index instead.
    """
    query = f"SELECT key, outcome, expires_ms FROM once_keys WHERE {among(connection, 'key')}"  # noqa: S608  ours
    rows = connection.exec_driver_sql(query, (listed(connection, keys),))
    met = [(key, outcome) for key, outcome, expires in rows if expires > now_ms]
    # SQLite's driver knows no JSON.
    return {key: from_json(out) if isinstance(out, str) else out for key, out in met}


def _delete_rows(connection: Connection, writes: Sequence[Write]) -> None:
    rows: dict[tuple[Table, tuple[str, ...]], list[Mapping[str, Any]]] = {}
    for write in writes:
        for item in write.deletes:
            rows.setdefault((item.table, tuple(sorted(item.values))), []).append(item.values)
    for (table, columns), values in rows.items():
        delete_rows(connection, table, columns, values)


def _insert_rows(connection: Connection, writes: Sequence[Write], starts: Sequence[int]) -> None:
    rows: dict[Table, list[dict[str, Any]]] = {}
    for write, start in zip(writes, starts, strict=True):
        for item in write.inserts:
            values = dict(item.values)
            for name, value in values.items():
                if type(value) is LeafIndex:
                    values[name] = start + value.event
            rows.setdefault(item.table, []).append(values)
    for table in _parents_first(rows):
        fill_vacant(connection, table, rows[table])
        insert_rows(connection, table, rows[table])


def _parents_first(tables: Iterable[Table]) -> list[Table]:
    """Order tables so that a foreign key's target is inserted before the row that names it."""
    return sorted(tables, key=_depth)


@cache
def _depth(table: Table) -> int:
    parents = {key.column.table for key in table.foreign_keys} - {table}
    return 1 + max((_depth(parent) for parent in parents), default=0)


def _update_rows(connection: Connection, log_id: str, writes: Sequence[Write]) -> None:
    for write in writes:
        for item in write.updates:
            table = item.table
            statement = update(table).where(table.c.id == item.id, table.c.rev == item.rev)
            if "log_id" in table.c:
                statement = statement.where(table.c.log_id == log_id)
            result = connection.execute(statement.values(rev=item.rev + 1, **item.values))
            if result.rowcount != 1:  # its rev was read under lock: never, unless the schema lies
                raise RuntimeError(f"{table.name} {item.id} changed under its lock")


def _note_once_and_spent(
    connection: Connection, log_id: str, writes: Sequence[Write], seen: Seen
) -> None:
    final: dict[str, Once | None] = {}
    for write in writes:
        final.update(dict.fromkeys(write.forgets))
        final.update({once.key: once for once in (*write.once, *write.replaces)})
    gone = [key for key, once in final.items() if once is None]
    if gone:
        connection.execute(delete(ONCE).where(ONCE.c.key.in_(gone)))
    # An expired key of the same name may still stand there.
    kept = [once for once in final.values() if once is not None]
    upsert_rows(
        connection,
        ONCE,
        [{"key": o.key, "outcome": o.outcome, "expires_ms": o.expires_ms} for o in kept],
    )
    spent = {spend.key for write in writes for spend in write.spends}
    upsert_rows(
        connection,
        COUNTERS,
        [{"log_id": log_id, "key": key, "value": seen.counters[key]} for key in spent],
    )


def forget_expired(connection: Connection, now_ms: int, limit: int = 1000) -> int:
    """Delete once keys that have expired, `limit` at most; return how many went."""
    result = connection.execute(
        text(
            "DELETE FROM once_keys WHERE key IN "
            "(SELECT key FROM once_keys WHERE expires_ms <= :now ORDER BY expires_ms LIMIT :limit)"
        ),
        {"now": now_ms, "limit": limit},
    )
    return result.rowcount
