"""The right edge of a log that is read from its beginning: each level's tile that is not yet full.

It is all that must be remembered to go on: enough for the root, and for every tile to come.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from exchange.formats.errors import TileError
from exchange.formats.merkle import HASH_SIZE, Extension, fold, root_of
from exchange.formats.tiles import MAX_LEVEL, WIDTH, Tile


@dataclass(slots=True)
class Edge:
    """The hashes of each level's last tile, level 0 first."""

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list)

    def add(self, leaf_hash: bytes) -> Iterator[tuple[Tile, bytes]]:
        """Add a leaf; yield each tile that it fills, with the bytes that the tile must have."""
        self.size += 1
        rising, level = leaf_hash, 0
        while True:
            if level == len(self.levels):
                self.levels.append([])
            hashes = self.levels[level]
            hashes.append(rising)
            if len(hashes) < WIDTH:
                return
            index = (self.size >> 8 * (level + 1)) - 1
            yield Tile(level, index), b"".join(hashes)
            rising = root_of(hashes)
            hashes.clear()
            level += 1

    def partial(self) -> Iterator[tuple[Tile, bytes]]:
        """Yield the tiles that are not full, with the bytes that they must have."""
        for level, hashes in enumerate(self.levels):
            if hashes:
                index = self.size >> 8 * (level + 1)
                yield Tile(level, index, len(hashes)), b"".join(hashes)

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        parts: list[bytes] = []
        for hashes in reversed(self.levels):
            parts += Extension(0, (), hashes).new_range
        return fold(parts)

    def encode(self) -> list[str]:
        """Write the levels for a state file."""
        return [b"".join(hashes).hex() for hashes in self.levels]

    @classmethod
    def decode(cls, texts: Sequence[str]) -> "Edge":
        """Read the levels back; raises TileError, ValueError."""
        if len(texts) > MAX_LEVEL:
            raise TileError("too many levels")
        edge = cls()
        for level, text in enumerate(texts):
            data = bytes.fromhex(text)
            if len(data) % HASH_SIZE or len(data) >= WIDTH * HASH_SIZE:
                raise TileError("not the hashes of a tile")
            hashes = [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]
            edge.levels.append(hashes)
            edge.size += len(hashes) << 8 * level
        return edge
