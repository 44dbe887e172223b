"""Tiles' paths and entry bundles (C2SP tlog-tiles)."""

import pytest

from exchange.formats.errors import TileError
from exchange.formats.tiles import (
    ENTRIES,
    Tile,
    decode_bundle,
    decode_tile,
    encode_bundle,
    parse_tile_path,
    tile_path,
    tiles_of,
)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        ((0, 0, 256), "tile/0/000"),
        ((0, 1234067, 256), "tile/0/x001/x234/067"),
        ((0, 1234, 5), "tile/0/x001/234.p/5"),
        ((63, 999, 255), "tile/63/999.p/255"),
        ((1, 1000, 256), "tile/1/x001/000"),
        ((ENTRIES, 12, 1), "tile/entries/012.p/1"),
        ((ENTRIES, 2**63 - 1, 256), "tile/entries/x009/x223/x372/x036/x854/x775/807"),
    ],
)
def test_paths(tile, path):
    assert tile_path(*tile) == path
    assert parse_tile_path(path) == Tile(*tile)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/x/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/05",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/../000",
        "tile/0/００0",
        "tile/entries/x1/000",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/" + "x999/" * 400 + "999",
        "tile/0/" + "x999/" * 2000 + "999",
    ],
)
def test_paths_refused(path):
    with pytest.raises(TileError):
        parse_tile_path(path)


@pytest.mark.parametrize("tile", [(-2, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_tiles_refused(tile):
    with pytest.raises(TileError):
        tile_path(*tile)


def test_the_specifications_example_of_70000():
    tiles = list(tiles_of(70_000))
    by_level = {}
    for tile in tiles:
        by_level.setdefault(tile.level, []).append(tile.width)
    assert by_level == {
        ENTRIES: [256] * 273 + [112],
        0: [256] * 273 + [112],
        1: [256, 17],
        2: [1],
    }
    assert list(tiles_of(0)) == []
    assert [tile.path for tile in tiles_of(256)] == [
        "tile/entries/000",
        "tile/0/000",
        "tile/1/000.p/1",
    ]


def test_what_a_log_of_a_size_can_serve():
    for tile in tiles_of(70_000):
        assert tile.is_within(70_000)
        assert Tile(tile.level, tile.index, 1).is_within(70_000)
    for beyond in (
        Tile(0, 273, 113),
        Tile(0, 274, 1),
        Tile(1, 1, 18),
        Tile(2, 0, 2),
        Tile(3, 0, 1),
    ):
        assert not beyond.is_within(70_000)
    assert not Tile(ENTRIES, 0, 1).is_within(0)
    assert not Tile(63, 0, 1).is_within(2**63 - 1)


def test_bundles():
    entries = [b"", b"one", b"\x00" * 65535, *[b"x"] * 253]
    data = encode_bundle(entries)
    assert data[:7] == b"\x00\x00\x00\x03one"
    assert decode_bundle(data, 256) == entries
    for width in (0, 255, 257):
        with pytest.raises(TileError):
            decode_bundle(data, width)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65536]], ids=["none", "257", "long"])
def test_bundles_not_made(entries):
    with pytest.raises(TileError):
        encode_bundle(entries)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01", b"\x00\x01a\x00", b"\x00\x01ab"])
def test_bundles_refused(data):
    with pytest.raises(TileError):
        decode_bundle(data, 1)


def test_hashes_of_a_tile():
    assert decode_tile(b"a" * 32 + b"b" * 32, 2) == [b"a" * 32, b"b" * 32]
    for data, width in [(b"", 0), (b"", 1), (b"a" * 33, 1), (b"a" * 32, 2)]:
        with pytest.raises(TileError):
            decode_tile(data, width)
