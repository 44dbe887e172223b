"""A tile or an entry bundle of the log, as the tlog-tiles API serves it (C2SP)."""

from sqlalchemy import Connection, select

from exchange.formats.tiles import ENTRIES as BUNDLE
from exchange.formats.tiles import WIDTH, Tile, encode_bundle
from exchange.ledger.tables import Entry, LogState
from exchange.ledger.tree import StoredTree

LOG = LogState.__table__  # type: ignore[attr-defined]
ENTRIES = Entry.__table__  # type: ignore[attr-defined]


def read_tile(connection: Connection, log_id: str, tile: Tile) -> bytes | None:
    """Return the tile's bytes; None where the log does not hold all of it yet."""
    query = select(LOG.c.size).where(LOG.c.log_id == log_id)
    if not tile.is_within(connection.execute(query).scalar_one()):
        return None
    if tile.level != BUNDLE:
        hashes = StoredTree(connection, log_id).hashes(tile.level, tile.index, tile.width)
        return b"".join(hashes)
    first = tile.index * WIDTH
    entries = (
        select(ENTRIES.c.entry)
        .where(
            ENTRIES.c.log_id == log_id,
            ENTRIES.c.leaf_index >= first,
            ENTRIES.c.leaf_index < first + tile.width,
        )
        .order_by(ENTRIES.c.leaf_index)
    )
    return encode_bundle(list(connection.execute(entries).scalars()))
