"""The Merkle tree of RFC 6962, section 2.1: hashes, proofs and their verification; SHA-256.

Trees are read through a `Node` function: `node(level, index)` is the hash of the complete subtree
over the entries index << level … (index + 1) << level. All hashes are 32 bytes, proofs run from
the leaf's side to the root's. Wherever a proof does not hold, ProofError says why.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from exchange.formats.errors import ProofError

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

Node = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry as a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees as one."""
    return sha256(b"\x01" + left + right).digest()


def compact_range(size: int) -> list[tuple[int, int]]:
    """The (level, index) of the complete subtrees that make up a tree, largest (leftmost) first."""
    levels = range(size.bit_length() - 1, -1, -1)
    return [(level, (size >> level) - 1) for level in levels if size >> level & 1]


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over a compact range, given left to right; EMPTY_ROOT where there is none."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaves."""
    return Extension(0, (), leaf_hashes).root


def root_at(size: int, node: Node) -> bytes:
    """The root that a tree had, or has, at `size`."""
    return fold([node(level, index) for level, index in compact_range(size)])


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """The proof that entry `index` is in the tree of `size` entries."""
    if not 0 <= index < size:
        raise ProofError(f"no entry {index} in a tree of {size}")
    return _path(0, index, size, node, _edge_of(size, node))


def consistency_proof(size1: int, size2: int, node: Node) -> list[bytes]:
    """The proof that the tree of `size2` entries only adds to that of `size1`, which has some."""
    if not 0 < size1 <= size2:
        raise ProofError(f"no proof leads from size {size1} to {size2}")
    if size1 == size2:
        return []
    level = _trailing_zeros(size1)
    index = (size1 >> level) - 1
    path = _path(level, index, size2, node, _edge_of(size2, node))
    # The verifier holds root1; where that is one complete subtree, sending it again adds nothing.
    return [node(level, index), *path] if index else path


def verify_inclusion(
    index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf is entry `index` of the tree of this size and root. Raises ProofError."""
    if not 0 <= index < size:
        raise ProofError(f"no entry {index} in a tree of {size}")
    _require_hashes(leaf_hash, root, *proof)
    inner = (index ^ (size - 1)).bit_length()
    _require_length(proof, inner + (index >> inner).bit_count())
    computed = leaf_hash
    for level, sibling in enumerate(proof[:inner]):
        on_left = index >> level & 1
        computed = node_hash(sibling, computed) if on_left else node_hash(computed, sibling)
    for sibling in proof[inner:]:
        computed = node_hash(sibling, computed)
    if computed != root:
        raise ProofError("the proof leads to another root")


def verify_consistency(
    size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the second tree only adds to the first, which is not empty. Raises ProofError."""
    if not 0 < size1 <= size2:
        raise ProofError(f"nothing leads from size {size1} to {size2}")
    if size1 == size2:
        # Nothing is hashed, so equal is enough: transparency-dev's vectors accept equal roots here
        # that are no hashes (sizes-are-equal-one-and-proof-is-empty). A Checkpoint's root is one.
        _require_length(proof, 0)
        if root1 != root2:
            raise ProofError("two roots of one size")
        return
    _require_hashes(root1, root2, *proof)
    level = _trailing_zeros(size1)
    index = (size1 >> level) - 1
    start = [root1] if index == 0 else []
    inner = (index ^ ((size2 - 1) >> level)).bit_length()
    _require_length(proof, (0 if start else 1) + inner + (index >> inner).bit_count())
    seed, *siblings = [*start, *proof]
    first = second = seed
    for depth, sibling in enumerate(siblings[:inner]):
        if index >> depth & 1:
            first = node_hash(sibling, first)
            second = node_hash(sibling, second)
        else:
            second = node_hash(second, sibling)
    for sibling in siblings[inner:]:
        first = node_hash(sibling, first)
        second = node_hash(sibling, second)
    if first != root1:
        raise ProofError("the proof leads to another first root")
    if second != root2:
        raise ProofError("the proof leads to another second root")


class Extension:
    """A tree of `size` entries, known by its compact range, grown by a batch; all in memory.

    Costs about two hashes a leaf; proofs of the batch's entries are then look-ups. Raises
    ProofError where the range is not that of `size`.
    """

    __slots__ = ("_edge", "_first", "_levels", "new_range", "new_size", "root", "size")

    def __init__(
        self,
        size: int,
        range: Sequence[bytes],  # noqa: A002
        leaf_hashes: Sequence[bytes],
    ) -> None:
        if size < 0 or len(range) != size.bit_count():
            raise ProofError(f"{len(range)} hashes are not the compact range of {size} entries")
        self.size = size
        self.new_size = size + len(leaf_hashes)
        self._levels, self._first = _grow(size, range, leaf_hashes)
        # Each level starts at an even index, so an odd count leaves its last node without a
        # partner: those are the new compact range.
        self.new_range = [nodes[-1] for nodes in reversed(self._levels) if len(nodes) & 1]
        # At h: the hash over the last (new size mod 2^h) entries.
        self._edge = [b""]
        for nodes in self._levels:
            right = self._edge[-1]
            if len(nodes) & 1:
                right = node_hash(nodes[-1], right) if right else nodes[-1]
            self._edge.append(right)
        self.root = self._edge[-1] or EMPTY_ROOT

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree; ProofError for one that the batch did not touch."""
        if level < len(self._levels):
            offset = index - self._first[level]
            if 0 <= offset < len(self._levels[level]):
                return self._levels[level][offset]
        raise ProofError(f"node {index} of level {level} is not at hand")

    def proof(self, index: int) -> list[bytes]:
        """The inclusion proof of an entry of the batch in the grown tree."""
        if not self.size <= index < self.new_size:
            raise ProofError(f"entry {index} is not in the batch")
        return _path(0, index, self.new_size, self.node, self._edge.__getitem__)


def _grow(
    size: int, old_range: Sequence[bytes], leaf_hashes: Sequence[bytes]
) -> tuple[list[list[bytes]], list[int]]:
    """For each level its known nodes, the old range's among them, and the first one's index."""
    levels: list[list[bytes]] = []
    first: list[int] = []
    waiting = list(old_range)
    new = list(leaf_hashes)
    while waiting or new:
        behind = size >> len(levels)
        nodes = [waiting.pop(), *new] if behind & 1 else new
        first.append(behind & ~1)
        levels.append(nodes)
        pairs = zip(nodes[::2], nodes[1::2], strict=False)
        new = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return levels, first


def _path(
    level: int, index: int, size: int, node: Node, edge: Callable[[int], bytes]
) -> list[bytes]:
    """The siblings from a complete subtree up to the root of the tree of `size`.

    Up to where the way to the subtree and the way to the last entry part, siblings lie on both
    sides; the last of them may be incomplete (`edge(level)`). Above, they lie on the left.
    """
    last = (size - 1) >> level
    parting = level + (index ^ last).bit_length()
    path: list[bytes] = []
    for height in range(level, parting - 1):
        path.append(node(height, index ^ 1))
        index >>= 1
    if parting > level:
        whole = (index ^ 1) + 1 <= size >> (parting - 1)
        path.append(node(parting - 1, index ^ 1) if whole else edge(parting - 1))
        index >>= 1
    while index:
        if index & 1:
            path.append(node(parting, index - 1))
        index >>= 1
        parting += 1
    return path


def _edge_of(size: int, node: Node) -> Callable[[int], bytes]:
    def edge(level: int) -> bytes:
        return fold([node(low, at) for low, at in compact_range(size) if low < level])

    return edge


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _require_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_SIZE for each in hashes):
        raise ProofError(f"a hash that is not {HASH_SIZE} bytes")


def _require_length(proof: Sequence[bytes], length: int) -> None:
    if len(proof) != length:
        raise ProofError(f"{len(proof)} hashes in a proof that has {length}")
