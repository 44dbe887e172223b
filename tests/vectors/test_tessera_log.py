"""Tessera's log of 15 entries, rebuilt byte for byte: tiles, bundles and signed checkpoints."""

import json
from base64 import b64decode

import pytest

from exchange.formats import checkpoint, merkle, note, tiles
from tests.support.infra import find_vectors


@pytest.fixture(scope="module")
def log():
    return json.loads(find_vectors("tessera-log.json").read_text())


@pytest.fixture(scope="module")
def entries(log):
    return tiles.decode_bundle(b64decode(log["bundles"]["tile/entries/000.p/15"]), 15)


def test_entries_are_the_fifteen(entries):
    assert entries[0] == b"one"
    assert len(entries) == 15


def test_tiles_and_bundles(log, entries):
    made = {}
    for size in range(1, 16):
        leaves = [merkle.leaf_hash(entry) for entry in entries[:size]]
        for tile in tiles.tiles_of(size):
            bundle = tile.level == tiles.ENTRIES
            made[tile.path] = tiles.encode_bundle(entries[:size]) if bundle else b"".join(leaves)
    theirs = {path: b64decode(data) for path, data in (log["tiles"] | log["bundles"]).items()}
    assert len(theirs) == 30
    assert made == theirs


def test_signed_checkpoints(log, entries):
    signer = note.Signer.parse(log["signer_key"])
    assert signer.vkey == log["verifier_key"]
    assert signer.secret == log["signer_key"]
    made = {}
    old_range = []
    for size in range(16):
        root = merkle.root_of([merkle.leaf_hash(entry) for entry in entries[:size]])
        if size:
            grown = merkle.Extension(size - 1, old_range, [merkle.leaf_hash(entries[size - 1])])
            assert grown.root == root
            old_range = grown.new_range
        signed = signer.sign(checkpoint.Checkpoint(signer.name, size, root).encode())
        made[f"checkpoint.{size}"] = signed
    made["checkpoint"] = made["checkpoint.15"]
    assert made == log["checkpoints"]


def test_their_checkpoints_are_read_and_follow_each_other(log, entries):
    verifier = note.Verifier.parse(log["verifier_key"])
    leaves = [merkle.leaf_hash(entry) for entry in entries]

    def node(level, index):
        return merkle.root_of(leaves[index << level : (index + 1) << level])

    heads = []
    for size in range(16):
        opened = note.open_note(log["checkpoints"][f"checkpoint.{size}"], [verifier])
        head = checkpoint.parse(opened.text)
        assert (head.origin, head.size) == (verifier.name, size)
        heads.append(head)
    for first in heads[1:]:
        for second in heads[first.size :]:
            proof = merkle.consistency_proof(first.size, second.size, node)
            merkle.verify_consistency(first.size, second.size, first.root, second.root, proof)
