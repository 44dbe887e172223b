"""Formats read what they write, refuse the rest in one family of errors, and agree with others."""

import json

import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exchange.formats import canonical, checkpoint, merkle, note, tiles
from exchange.formats.errors import CheckpointError, FormatError, NoteError, TileError
from tests.support import naive_tree

LARGEST = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN_SCALARS = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | TEXT
JSON = st.recursive(
    PLAIN_SCALARS | st.floats(-LARGEST, LARGEST) | st.floats(1e21, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=25,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=15,
)
LOG = note.Signer.generate("log.example/a")


@given(JSON)
@settings(max_examples=500, deadline=None)
@example({"\ufb33": 1, "\U0001f600": 2})
@example({"a": '\x00\x1f\x7f\u2028\u2029\\/"\b\f\n\r\t'})
@example([True, 1, False, 0, None, "", {}, [], ()])
def test_canonical_json_is_that_of_the_reference(value):
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(st.recursive(PLAIN_SCALARS, lambda x: st.lists(x) | st.dictionaries(TEXT, x), max_leaves=20))
@settings(max_examples=300, deadline=None)
def test_canonical_json_round_trips_and_refuses_every_other_spelling(value):
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    spaced = json.dumps(value, ensure_ascii=False, indent=1).encode()
    escaped = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    for other in (spaced, escaped, data + b" "):
        if other != data:
            assert refuses(canonical.decode, other, FormatError)


@given(ANYTHING)
@settings(max_examples=500, deadline=None)
def test_anything_is_encoded_or_refused(value):
    try:
        data = canonical.encode(value)
    except FormatError:
        return
    canonical.decode(data)


def refuses(parse, data, error):
    """Whether it is refused by `error`; any other exception is a failure."""
    try:
        parse(data)
    except error:
        return True
    return False


NEAR_JSON = st.text('{}[]":,\\ud800 aé019.-+eEtruefalsn', max_size=40).map(
    lambda text: text.encode()
)


@given(st.binary(max_size=200) | NEAR_JSON)
@settings(max_examples=500, deadline=None)
def test_bytes_are_decoded_only_if_canonical(data):
    if not refuses(canonical.decode, data, FormatError):
        assert canonical.encode(canonical.decode(data)) == data
        assert rfc8785.dumps(json.loads(data)) == data


NEAR_NOTE = st.text("a \n—+=/AQgB0\r\t\u00a0", max_size=120)


@given(NEAR_NOTE | st.text(max_size=200))
@settings(max_examples=500, deadline=None)
@example("\n\n— a AAAAAAA=\n")
def test_notes_keys_and_checkpoints_refuse_in_their_own_way(text):
    assert refuses(lambda data: note.open_note(data, [LOG.verifier]), text, NoteError)
    assert refuses(note.Verifier.parse, text, NoteError)
    assert refuses(note.Signer.parse, "PRIVATE+KEY+" + text, NoteError)
    if not refuses(checkpoint.parse, text, CheckpointError):
        assert checkpoint.parse(text).encode() == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_line_is_signed_and_read_back(line, more):
    text = f"{line}\n\n{more.hex()}\n"
    signed = LOG.sign(text)
    assert note.open_note(signed, [LOG.verifier]).text == text
    assert LOG.sign(text) == signed, "Ed25519 has no randomness"


@given(
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
@settings(deadline=None)
def test_checkpoints_round_trip(origin, size, root):
    head = checkpoint.Checkpoint(origin, size, root)
    assert checkpoint.parse(head.encode()) == head


@given(st.integers(-1, 63), st.integers(0, 2**63 - 1) | st.integers(0, 2000), st.integers(1, 256))
@settings(max_examples=300, deadline=None)
def test_tile_paths_round_trip(level, index, width):
    path = tiles.tile_path(level, index, width)
    assert tiles.parse_tile_path(path) == tiles.Tile(level, index, width)


@given(st.text("tile/entrisx0123456789.p/", max_size=40).map("tile/".__add__) | st.text())
@settings(max_examples=500, deadline=None)
@example("tile/0/x001/234.p/5")
def test_paths_are_read_only_if_they_would_be_written_so(path):
    if not refuses(tiles.parse_tile_path, path, TileError):
        assert tiles.parse_tile_path(path).path == path


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
@settings(max_examples=100, deadline=None)
def test_bundles_round_trip(entries):
    assert tiles.decode_bundle(tiles.encode_bundle(entries), len(entries)) == entries


@given(st.binary(max_size=60), st.integers(0, 8))
@settings(max_examples=300, deadline=None)
def test_bundles_are_read_only_if_they_would_be_written_so(data, width):
    if not refuses(lambda each: tiles.decode_bundle(each, width), data, TileError):
        assert tiles.encode_bundle(tiles.decode_bundle(data, width)) == data


LEAVES = [merkle.leaf_hash(bytes([index // 256, index % 256])) for index in range(600)]


@given(st.lists(st.integers(0, 130), min_size=1, max_size=5), st.data())
@settings(max_examples=100, deadline=None)
def test_a_tree_grown_by_batches_is_the_tree(batches, chance):
    size, compact, roots, extension = 0, [], {}, None
    for count in batches:
        count = min(count, len(LEAVES) - size)
        extension = merkle.Extension(size, compact, LEAVES[size : size + count])
        assert extension.root == naive_tree.root(LEAVES[: size + count])
        if count:
            index = chance.draw(st.integers(size, size + count - 1))
            proof = extension.proof(index)
            assert proof == naive_tree.inclusion(index, LEAVES[: size + count])
            merkle.verify_inclusion(index, size + count, LEAVES[index], proof, extension.root)
        size, compact = extension.new_size, extension.new_range
        roots[size] = extension.root
    for first in roots:
        if first:
            proof = merkle.consistency_proof(first, size, whole(LEAVES[:size]))
            merkle.verify_consistency(first, size, roots[first], roots[size], proof)


def whole(leaves):
    return lambda level, index: naive_tree.root(leaves[index << level : (index + 1) << level])
