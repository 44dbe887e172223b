"""Tiles and entry bundles, and the paths they are served at (C2SP tlog-tiles).

    tile/<L>/<N>[.p/<W>]          W hashes of 32 bytes, 256 where the tile is full
    tile/entries/<N>[.p/<W>]      W times: length as a big-endian uint16, entry

Hash i of tile N at level L is the root of the entries (256 N + i) 256^L … (256 N + i + 1) 256^L:
in the tree's own levels, node(8 L, 256 N + i).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exchange.formats.errors import TileError
from exchange.formats.merkle import HASH_SIZE
from exchange.formats.text import LARGEST

WIDTH: Final = 256
LEVEL_BITS: Final = 8
MAX_LEVEL: Final = 63
MAX_ENTRY: Final = 65535
ENTRIES: Final = -1
"""The level of entry bundles."""

_PATH = re.compile(
    "tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:[.]p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """Tile `index` of a level, or of the entry bundles (level ENTRIES); full at width WIDTH."""

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not ENTRIES <= self.level <= MAX_LEVEL:
            raise TileError(f"a level is between 0 and {MAX_LEVEL}")
        if not 0 <= self.index <= LARGEST or not 0 < self.width <= WIDTH:
            raise TileError(f"a tile has an index below 2^63 and 1 to {WIDTH} hashes")

    @property
    def path(self) -> str:
        """`tile/0/x001/234.p/5`"""
        digits = str(self.index)
        digits = digits.zfill(len(digits) + -len(digits) % 3)
        *before, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return "/".join(["tile", level, *(f"x{group}" for group in before), last]) + partial

    def is_within(self, size: int) -> bool:
        """Whether a log of `size` entries has everything that this tile holds."""
        return self.index * WIDTH + self.width <= size >> LEVEL_BITS * max(self.level, 0)


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """The path of a tile; level ENTRIES means the entry bundle. Raises TileError."""
    return Tile(level, index, width).path


def parse_tile_path(path: str) -> Tile:
    """The tile at `path`, which starts with "tile/". Raises TileError."""
    match = _PATH.fullmatch(path)
    if not match:
        raise TileError("not the path of a tile")
    level = ENTRIES if match[1] == "entries" else int(match[1])
    tile = Tile(level, int(re.sub("[x/]", "", match[2])), int(match[3] or WIDTH))
    # One tile, one path: this refuses "x000/001" and ".p/256".
    if tile.path != path:
        raise TileError("not the canonical path of a tile")
    return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile and bundle of a log of `size` entries, the partial ones at the right edge too."""
    for level in range(ENTRIES, MAX_LEVEL + 1):
        full, width = divmod(size >> LEVEL_BITS * max(level, 0), WIDTH)
        if not full and not width:
            return
        for index in range(full):
            yield Tile(level, index)
        if width:
            yield Tile(level, full, width)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of 1 to 256 entries. Raises TileError, also for an entry above 65,535 bytes."""
    if not 0 < len(entries) <= WIDTH:
        raise TileError(f"a bundle has 1 to {WIDTH} entries")
    if any(len(entry) > MAX_ENTRY for entry in entries):
        raise TileError(f"an entry has at most {MAX_ENTRY} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """The `width` entries of a bundle. Raises TileError."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data):
            raise TileError("a bundle that is cut off")
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) != width or not width:
        raise TileError(f"{len(entries)} entries in a bundle of {width}")
    return entries


def decode_tile(data: bytes, width: int) -> list[bytes]:
    """The `width` hashes of a tile. Raises TileError."""
    if not width or len(data) != width * HASH_SIZE:
        raise TileError(f"{len(data)} bytes in a tile of {width} hashes")
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]
