"""After an unknown outcome: did the write commit? Asked by event id before anyone is answered."""

from sqlalchemy import Connection, select

from exchange.formats.receipt import Receipt
from exchange.ledger.commit import Batch, Log
from exchange.ledger.tables import Entry, LogState, OnceKey
from exchange.ledger.tree import StoredTree
from exchange.ledger.write import Committed, Write

LOG = LogState.__table__  # type: ignore[attr-defined]
ENTRIES = Entry.__table__  # type: ignore[attr-defined]
ONCE = OnceKey.__table__  # type: ignore[attr-defined]


def committed_before(connection: Connection, log: Log, write: Write) -> Batch | None:
    """Return the write as it was committed, or None when it was not.

    A write without events is known by the first row that it inserts, since ids are random. One
    that inserts nothing counts as not committed (see `cannot_tell`): carried out again, its revs
    answer for it.
    """
    if not write.events:
        return _by_first_row(connection, log, write)
    rows = connection.execute(
        select(ENTRIES.c.event_id, ENTRIES.c.leaf_index).where(
            ENTRIES.c.log_id == log.log_id, ENTRIES.c.event_id.in_([e.id for e in write.events])
        )
    )
    found = {row.event_id: row.leaf_index for row in rows}
    if not found:
        return None
    query = select(LOG.c.size, LOG.c.note).where(LOG.c.log_id == log.log_id)
    size, note = connection.execute(query).one()
    tree = StoredTree(connection, log.log_id)
    receipts = tuple(
        Receipt(e.entry, found[e.id], tree.inclusion(found[e.id], size), note) for e in write.events
    )
    return Batch([Committed(found[write.events[0].id], receipts)], note, size)


def cannot_tell(connection: Connection, write: Write) -> bool:
    """Whether a write that only meets once keys may be why they stand there, or another write.

    Carried out again it would be refused as met before, perhaps by itself.
    """
    if write.events or write.inserts or not write.once:
        return False
    query = select(ONCE.c.key).where(ONCE.c.key.in_([once.key for once in write.once]))
    return connection.execute(query).first() is not None


def _by_first_row(connection: Connection, log: Log, write: Write) -> Batch | None:
    if not write.inserts:
        return None
    item = write.inserts[0]
    key = [column == item.values[column.name] for column in item.table.primary_key]
    if connection.execute(select(*item.table.primary_key).where(*key)).first() is None:
        return None
    query = select(LOG.c.size).where(LOG.c.log_id == log.log_id)
    size = connection.execute(query).scalar_one()
    return Batch([Committed(size, ())], None, size)
