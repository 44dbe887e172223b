"""Trees against the RFC's recursive definitions: all sizes to 300, and forged proofs."""

import os
import random

import pytest

from exchange.formats import merkle
from exchange.formats.errors import ProofError
from tests.support import naive_tree

LEAVES = [merkle.leaf_hash(str(index).encode()) for index in range(300)]
SIZES = [*range(1, 34), 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 299, 300]


def node(level, index):
    part = LEAVES[index << level : (index + 1) << level]
    assert len(part) == 1 << level, "only complete subtrees may be asked for"
    return naive_tree.root(part)


def test_known_roots():
    # RFC 6962's own constants, as certificate logs publish them.
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.EMPTY_ROOT.hex() == empty
    assert merkle.root_of([]).hex() == empty
    assert merkle.leaf_hash(b"").hex() == leaf


def test_every_size_from_nothing_and_leaf_by_leaf():
    old_range = []
    for size in range(301):
        root = naive_tree.root(LEAVES[:size])
        whole = merkle.Extension(0, [], LEAVES[:size])
        assert whole.root == root == merkle.root_at(size, node)
        assert whole.new_range == [node(*each) for each in merkle.compact_range(size)] == old_range
        if size < 300:
            old_range = merkle.Extension(size, old_range, LEAVES[size : size + 1]).new_range


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_proofs(size):
    root = naive_tree.root(LEAVES[:size])
    extension = merkle.Extension(0, [], LEAVES[:size])
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, node)
        assert proof == naive_tree.inclusion(index, LEAVES[:size]) == extension.proof(index)
        merkle.verify_inclusion(index, size, LEAVES[index], proof, root)


@pytest.mark.parametrize("size", SIZES)
def test_consistency_proofs(size):
    root = naive_tree.root(LEAVES[:size])
    for first in range(1, size + 1):
        proof = merkle.consistency_proof(first, size, node)
        assert proof == naive_tree.consistency(first, LEAVES[:size])
        merkle.verify_consistency(first, size, naive_tree.root(LEAVES[:first]), root, proof)


def test_extensions_by_batches_of_any_size():
    chance = random.Random(5)
    for _ in range(60):
        size = chance.randrange(300)
        new_size = chance.randrange(size, 301)
        batch = LEAVES[size:new_size]
        old_range = [node(*each) for each in merkle.compact_range(size)]
        grown = merkle.Extension(size, old_range, batch)
        assert grown.new_size == new_size
        assert grown.root == naive_tree.root(LEAVES[:new_size])
        assert grown.new_range == [node(*each) for each in merkle.compact_range(new_size)]
        for index in range(size, new_size):
            assert grown.proof(index) == naive_tree.inclusion(index, LEAVES[:new_size])


def test_an_extension_knows_the_nodes_of_its_batch_and_no_others():
    size, new_size = 173, 260
    old_range = [node(*each) for each in merkle.compact_range(size)]
    grown = merkle.Extension(size, old_range, LEAVES[size:new_size])
    known = 0
    for level in range(9):
        for index in range(new_size >> level):
            new = (index + 1) << level > size
            if new or (level, index) in merkle.compact_range(size):
                assert grown.node(level, index) == node(level, index)
                known += 1
            else:
                with pytest.raises(ProofError):
                    grown.node(level, index)
    assert known > 2 * (new_size - size)
    for outside in [(0, 260), (0, -1), (8, 1), (9, 0), (60, 0)]:
        with pytest.raises(ProofError):
            grown.node(*outside)


def test_an_extension_hashes_about_twice_a_leaf(monkeypatch):
    hashed = []
    real = merkle.sha256
    monkeypatch.setattr(merkle, "sha256", lambda data: hashed.append(1) or real(data))
    size = 2**40 - 1
    grown = merkle.Extension(size, [os.urandom(32)] * 40, LEAVES[:64])
    proofs = [grown.proof(index) for index in range(size, size + 64)]
    # The tree's 40 levels once (they close into one subtree), the batch's own nodes, the edge.
    assert len(hashed) <= 64 + 40 + 8
    for index, proof in zip(range(size, size + 64), proofs, strict=True):
        leaf = LEAVES[index - size]
        merkle.verify_inclusion(index, grown.new_size, leaf, proof, grown.root)


@pytest.mark.parametrize(("size", "hashes"), [(0, 1), (1, 0), (3, 1), (4, 2), (-1, 1)])
def test_an_extension_refuses_a_range_of_another_size(size, hashes):
    with pytest.raises(ProofError):
        merkle.Extension(size, LEAVES[:hashes], LEAVES[:1])


def test_proofs_of_nothing_are_refused():
    grown = merkle.Extension(4, LEAVES[:1], LEAVES[4:6])
    for index in (-1, 3, 6):
        with pytest.raises(ProofError):
            grown.proof(index)
    for index, size in [(0, 0), (5, 5), (-1, 5)]:
        with pytest.raises(ProofError):
            merkle.inclusion_proof(index, size, node)
    for first, second in [(0, 0), (0, 5), (6, 5), (-1, 5)]:
        with pytest.raises(ProofError):
            merkle.consistency_proof(first, second, node)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 13])
def test_forged_inclusion_is_refused(size):
    leaves = LEAVES[:size]
    root = naive_tree.root(leaves)
    for index in range(size):
        proof = naive_tree.inclusion(index, leaves)
        forgeries = [
            (other, size, leaves[index], proof, root) for other in range(size + 1) if other != index
        ]
        forgeries += [
            (index, size, LEAVES[20], proof, root),
            (index, size, leaves[index], [*proof, root], root),
            (index, size, leaves[index], [b"", *proof], root),
            (index, size, leaves[index], proof, LEAVES[20]),
            (index, size, leaves[index], proof, root[:31]),
            (index, size, leaves[index] + b"\0", proof, root),
        ]
        for at, sibling in enumerate(proof):
            shorter = proof[:at] + proof[at + 1 :]
            changed = [*proof[:at], bytes([sibling[0] ^ 1]) + sibling[1:], *proof[at + 1 :]]
            cut = [*proof[:at], sibling[:-1], *proof[at + 1 :]]
            forgeries += [(index, size, leaves[index], p, root) for p in (shorter, changed, cut)]
        for forgery in forgeries:
            with pytest.raises(ProofError):
                merkle.verify_inclusion(*forgery)


def test_a_fork_has_no_consistency_proof():
    ours, theirs = LEAVES[:13], [*LEAVES[:4], LEAVES[20], *LEAVES[5:13]]
    for first in range(1, 13):
        for tree in (ours, theirs):
            proof = naive_tree.consistency(first, tree)
            forked = first > 4
            roots = naive_tree.root(ours[:first]), naive_tree.root(theirs)
            if forked or tree is ours:
                with pytest.raises(ProofError):
                    merkle.verify_consistency(first, 13, *roots, proof)
            else:
                merkle.verify_consistency(first, 13, *roots, proof)
