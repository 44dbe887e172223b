"""After an unknown outcome: did the write commit? Asked by event id before anyone is answered."""

from sqlalchemy import Connection, select

from exchange.formats.receipt import Receipt
from exchange.ledger.commit import Batch, Log
from exchange.ledger.tables import Entry, LogState
from exchange.ledger.tree import StoredTree
from exchange.ledger.write import Committed, Write

LOG = LogState.__table__  # type: ignore[attr-defined]
ENTRIES = Entry.__table__  # type: ignore[attr-defined]


def committed_before(connection: Connection, log: Log, write: Write) -> Batch | None:
    """Return the write as it was committed, or None when it was not.

    A write without events cannot be told apart and counts as not committed: carried out again,
    its once keys answer for it.
    """
    if not write.events:
        return None
    rows = connection.execute(
        select(ENTRIES.c.event_id, ENTRIES.c.leaf_index).where(
            ENTRIES.c.log_id == log.log_id, ENTRIES.c.event_id.in_([e.id for e in write.events])
        )
    )
    found: dict[str, int] = dict(rows.tuples().all())
    if not found:
        return None
    query = select(LOG.c.size, LOG.c.note).where(LOG.c.log_id == log.log_id)
    size, note = connection.execute(query).one()
    tree = StoredTree(connection, log.log_id)
    receipts = tuple(
        Receipt(e.entry, found[e.id], tree.inclusion(found[e.id], size), note) for e in write.events
    )
    return Batch([Committed(found[write.events[0].id], receipts)], note, size)
