"""The stored tree: full tiles from the database, partial ones computed; they are pure functions
of the entries."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from exchange.formats.merkle import consistency_proof, inclusion_proof, root_at, root_of
from exchange.formats.tiles import LEVEL_BITS, WIDTH, tile_path
from exchange.ledger.tables import Entry, Tile

ENTRIES = Entry.__table__  # type: ignore[attr-defined]
TILES = Tile.__table__  # type: ignore[attr-defined]


CHECKED = 512  # tiles a level: 0.1 s; older ones are for auditors, who read them all


class StoredTree:
    """Hashes of one log as the database holds them; each range is read once."""

    def __init__(self, connection: Connection, log_id: str) -> None:
        self._connection = connection
        self._log_id = log_id
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def hashes(self, level: int, tile: int, width: int = WIDTH) -> list[bytes]:
        """Return the first `width` hashes of a tile; fewer where the log is shorter."""
        held = self._tiles.get((level, tile))
        if held is None or len(held) < width:
            held = self._load(level, tile)
            self._tiles[(level, tile)] = held
        return held[:width]

    def _load(self, level: int, tile: int) -> list[bytes]:
        query = select(TILES.c.hashes).where(
            TILES.c.log_id == self._log_id, TILES.c.level == level, TILES.c.tile_index == tile
        )
        packed = self._connection.execute(query).scalar_one_or_none()
        if packed is not None:
            return [packed[i : i + 32] for i in range(0, len(packed), 32)]
        return _below(self._connection, self._log_id, level, tile * WIDTH, WIDTH)

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of the complete subtree over entries [index << level, … + 1 << level)."""
        tile_level, height = divmod(level, 8)
        tile, start = divmod(index << height, WIDTH)
        hashes = self.hashes(tile_level, tile, start + (1 << height))[start:]
        if len(hashes) != 1 << height:
            raise LookupError(f"the log holds no complete subtree {level}/{index}")
        return root_of(hashes)

    def root(self, size: int) -> bytes:
        """Return the root of the tree's first `size` entries."""
        return root_at(size, self.node)

    def check(self, size: int) -> None:
        """Hash the newest full tiles of each level; LookupError names one that is damaged."""
        level = 0
        while full := size >> LEVEL_BITS * (level + 1):
            for index in range(max(0, full - CHECKED), full):
                above = self.hashes(level + 1, index // WIDTH, index % WIDTH + 1)
                if root_of(self.hashes(level, index)) != above[-1]:
                    raise LookupError(tile_path(level, index))
            level += 1

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of a leaf, from leaf to root (RFC 9162 section 2.1.3)."""
        return inclusion_proof(index, size, self.node)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the consistency proof between two sizes (RFC 9162 section 2.1.4)."""
        return consistency_proof(old, new, self.node)


def _below(connection: Connection, log_id: str, level: int, start: int, count: int) -> list[bytes]:
    """Read the hashes that a tile level is made of: leaves, or roots of the tiles beneath."""
    if level == 0:
        query = (
            select(ENTRIES.c.leaf_hash)
            .where(
                ENTRIES.c.log_id == log_id,
                ENTRIES.c.leaf_index >= start,
                ENTRIES.c.leaf_index < start + count,
            )
            .order_by(ENTRIES.c.leaf_index)
        )
    else:
        query = (
            select(TILES.c.root)
            .where(
                TILES.c.log_id == log_id,
                TILES.c.level == level - 1,
                TILES.c.tile_index >= start,
                TILES.c.tile_index < start + count,
            )
            .order_by(TILES.c.tile_index)
        )
    return list(connection.execute(query).scalars())


def full_tiles(
    connection: Connection, log_id: str, old: int, new: int, leaves: Sequence[bytes]
) -> list[dict[str, Any]]:
    """Return the rows of the tiles that become full as the log grows from `old` to `new`.

    `leaves` are the leaf hashes of entries [old, new).
    """
    rows: list[dict[str, Any]] = []
    level, fresh = 0, list(leaves)
    while new // WIDTH > old // WIDTH:
        start = old - old % WIDTH
        hashes = _below(connection, log_id, level, start, old - start) if old > start else []
        hashes += fresh
        fresh = []
        for tile in range(old // WIDTH, new // WIDTH):
            part = hashes[tile * WIDTH - start : (tile + 1) * WIDTH - start]
            root = root_of(part)
            fresh.append(root)
            rows.append(
                {
                    "log_id": log_id,
                    "level": level,
                    "tile_index": tile,
                    "hashes": b"".join(part),
                    "root": root,
                }
            )
        level, old, new = level + 1, old // WIDTH, new // WIDTH
    return rows
