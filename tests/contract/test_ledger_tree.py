"""The stored tree equals the naive one at every size, across the boundaries of tiles."""

import random

import pytest
from sqlalchemy import select

from exchange.clock import now_ms
from exchange.formats import merkle
from exchange.ledger.commit import commit
from exchange.ledger.tree import TILES, StoredTree, full_tiles
from exchange.ledger.write import Write
from tests.support import naive_tree
from tests.support.judge import judge_log
from tests.support.ledgers import entries, some_event

BIG = 65_536
LEAVES = "SELECT leaf_hash FROM entries ORDER BY leaf_index"


@pytest.mark.parametrize("batch", [1, 7, 255, 256, 257, 700])
async def test_batches_of_every_size(database, ledger, batch):
    total = {1: 40, 7: 600}.get(batch, 1600)
    while await ledger.size() < total:
        await ledger.commit(entries(ledger, batch))
    judged = judge_log(database.sql)  # tiles, edge and every checkpoint, all hashed anew
    leaves = [merkle.leaf_hash(entry) for entry in judged.entries]
    assert judged.root == naive_tree.root(leaves)
    with ledger.db.readers.connect() as connection:
        for size in {1, 2, 3, 40, *range(255, len(leaves), 256), *range(256, len(leaves), 256)}:
            if size <= len(leaves):
                root = StoredTree(connection, ledger.log_id).root(size)
                assert root == naive_tree.root(leaves[:size])


async def test_proofs_are_the_naive_ones(database, ledger):
    for count in (254, 1, 1, 255, 300):
        await ledger.commit(entries(ledger, count))
    leaves = [merkle.leaf_hash(entry) for entry in judge_log(database.sql).entries]
    rng = random.Random(4)
    with ledger.db.readers.connect() as connection:
        tree = StoredTree(connection, ledger.log_id)
        for size in (1, 2, 255, 256, 257, 511, 512, 513, len(leaves)):
            for index in {0, size - 1, size // 2, rng.randrange(size)}:
                assert tree.inclusion(index, size) == naive_tree.inclusion(index, leaves[:size])
            for old in {1, size, rng.randint(1, size), size & ~255 or 1}:
                assert tree.consistency(old, size) == naive_tree.consistency(old, leaves[:size])


async def test_across_the_third_level(database, ledger):
    """65,536 is where the first tile of level 1 is full; reach it, cross it, go on."""
    for until in (1000, 20_000, 40_001, 60_000, BIG - 300):
        await ledger.commit(entries(ledger, until - await ledger.size()))
    start = await ledger.size()
    leaves = [bytes(row[0]) for row in database.sql(LEAVES)]
    # From there on by several ways, each undone, so that each crosses the boundary differently.
    for steps in ([300], [299, 1], [299, 2], [301], [257, 44, 5], [1] * 3 + [600]):
        with ledger.db.writer.connect() as connection:
            for step in steps:
                write = Write([some_event(ledger, n=n) for n in range(step)])
                commit(connection, ledger.log, [write], now_ms())
            tree = StoredTree(connection, ledger.log_id)
            grown = leaves + _new_leaves(connection, ledger.log_id, start)
            assert len(grown) == start + sum(steps)
            assert tree.root(len(grown)) == merkle.root_of(grown)
            tree.check(len(grown))
            packed = connection.execute(
                select(TILES.c.hashes).where(TILES.c.level == 1, TILES.c.tile_index == 0)
            ).scalar_one()
            assert packed == b"".join(
                merkle.root_of(grown[256 * n : 256 * n + 256]) for n in range(256)
            )
            connection.rollback()
    await ledger.commit(entries(ledger, 700))
    judged = judge_log(database.sql)
    leaves = [merkle.leaf_hash(entry) for entry in judged.entries]
    assert judged.size == BIG + 400
    assert judged.root == naive_tree.root(leaves)
    with ledger.db.readers.connect() as connection:
        tree = StoredTree(connection, ledger.log_id)
        assert tree.root(BIG) == naive_tree.root(leaves[:BIG])
        for index in (BIG - 1, len(leaves) - 1):
            assert tree.inclusion(index, judged.size) == naive_tree.inclusion(index, leaves)
        for old in (1, BIG - 1, BIG, BIG + 1):
            proof = tree.consistency(old, judged.size)
            merkle.verify_consistency(old, judged.size, judged.roots[old], judged.root, proof)


def _new_leaves(connection, log_id, start):
    tree = StoredTree(connection, log_id)
    found, tile = [], start // 256
    while hashes := tree.hashes(0, tile):
        found += hashes
        tile += 1
    return found[start % 256 :]


def test_full_tiles_want_only_new_leaves(database, ledger):
    """Nothing full, nothing stored: the rows come only as a tile fills."""
    with ledger.db.readers.connect() as connection:
        assert full_tiles(connection, ledger.log_id, 1, 255, [bytes(32)] * 254) == []
        (row,) = full_tiles(connection, ledger.log_id, 1, 256, [bytes(32)] * 255)
    assert (row["level"], row["tile_index"], len(row["hashes"])) == (0, 0, 8192)


async def test_a_subtree_that_is_not_complete_has_no_hash(ledger):
    with ledger.db.readers.connect() as connection:
        tree = StoredTree(connection, ledger.log_id)
        with pytest.raises(LookupError):
            tree.node(0, 1)
        with pytest.raises(LookupError):
            tree.root(2)
