"""The judge of whole logs is itself judged: it hashes as the naive tree does, and sees damage."""

import os

import pytest

from exchange.formats.errors import FormatError
from exchange.formats.note import Signer
from tests.support import naive_tree
from tests.support.judge import judge_log, roots_of
from tests.support.ledgers import OwnDatabase, entries, open_ledger


def test_roots_are_the_naive_ones():
    leaves = [os.urandom(32) for _ in range(300)]
    for size, root in enumerate(roots_of(leaves)):
        if size < 40 or size % 50 < 2 or size in (255, 256, 257):
            assert root == naive_tree.root(leaves[:size])


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET entry = X'7B7D' WHERE leaf_index = 5",
        "UPDATE entries SET leaf_hash = zeroblob(32) WHERE leaf_index = 5",
        "DELETE FROM entries WHERE leaf_index = 599",
        "DELETE FROM entries WHERE leaf_index = 7",
        "UPDATE entries SET event_id = 'evt_x' WHERE leaf_index = 9",
        "UPDATE tiles SET hashes = zeroblob(8192) WHERE tile_index = 1",
        "UPDATE tiles SET root = zeroblob(32) WHERE tile_index = 0",
        "DELETE FROM tiles WHERE tile_index = 0",
        "INSERT INTO tiles SELECT log_id, level, 2, hashes, root FROM tiles WHERE tile_index = 1",
        "UPDATE checkpoints SET root = zeroblob(32) WHERE size = 301",
        "UPDATE checkpoints SET note = replace(note, '301', '300') WHERE size = 301",
        "UPDATE log_state SET size = 599",
        "UPDATE log_state SET compact_range = zeroblob(length(compact_range))",
        "UPDATE log_state SET note = (SELECT note FROM checkpoints WHERE size = 301)",
    ],
)
async def test_damage_is_seen(tmp_path, damage):
    database = OwnDatabase("sqlite", tmp_path / "state")
    with open_ledger(database, signer=Signer.generate("log.example/test")) as ledger:
        for _ in range(2):
            await ledger.commit(entries(ledger, 300))
    assert judge_log(database.sql).size == 601
    database.sql(damage)
    with pytest.raises((AssertionError, IndexError, FormatError)):
        judge_log(database.sql)
