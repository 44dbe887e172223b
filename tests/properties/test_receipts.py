"""One flipped bit anywhere in a receipt is refused; so is anything else that was not issued."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.formats import canonical, merkle, note, receipt
from exchange.formats.checkpoint import Checkpoint

LOG = note.Signer.generate("log.example/a")
EVENTS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.one_of(st.none(), st.booleans(), st.integers(), st.text('ab"\\\n€\U0001f600', max_size=40)),
    max_size=5,
)


@st.composite
def issued(draw):
    """The bytes of a receipt of a log of 1 to 80 entries, one of which is the event drawn."""
    entry = canonical.encode(draw(EVENTS))
    size = draw(st.integers(1, 80))
    index = draw(st.integers(0, size - 1))
    leaves = [merkle.leaf_hash(str(at).encode()) for at in range(size)]
    leaves[index] = merkle.leaf_hash(entry)
    tree = merkle.Extension(0, [], leaves)
    signed = LOG.sign(Checkpoint(LOG.name, size, tree.root).encode())
    return receipt.Receipt(entry, index, tree.proof(index), signed).encode().encode()


def verdict(data):
    """The reason of the refusal, or None where it is accepted; other exceptions pass through."""
    try:
        receipt.verify(receipt.parse(data), LOG.verifier)
    except receipt.ReceiptRefused as refused:
        return refused.reason
    return None


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(data=issued(), chance=st.data())
@settings(max_examples=400, deadline=None)
def test_a_flipped_bit_is_refused(data, chance):
    assert verdict(data) is None
    bit = chance.draw(st.integers(0, len(data) * 8 - 1))
    assert verdict(flipped(data, bit)) is not None


@pytest.mark.parametrize("size", [1, 2, 37])
def test_every_single_bit_of_some_receipts(size):
    entry = canonical.encode({"id": "evt_1", "data": {"title": "数据", "n": 5}})
    # The other leaves differ: of two equal neighbours either index would be true.
    leaves = [merkle.leaf_hash(bytes([at])) for at in range(size - 1)]
    tree = merkle.Extension(0, [], [*leaves, merkle.leaf_hash(entry)])
    signed = LOG.sign(Checkpoint(LOG.name, size, tree.root).encode())
    made = receipt.Receipt(entry, size - 1, tree.proof(size - 1), signed)
    data = made.encode().encode()
    assert verdict(data) is None
    reasons = [verdict(flipped(data, bit)) for bit in range(len(data) * 8)]
    assert None not in reasons
    assert {"malformed", "not_signed"} <= set(reasons)
    assert "not_in_log" in reasons


@given(data=issued(), chance=st.data())
@settings(max_examples=200, deadline=None)
def test_a_byte_more_less_or_other_is_refused(data, chance):
    at = chance.draw(st.integers(0, len(data) - 1))
    byte = bytes([chance.draw(st.integers(0, 255))])
    for changed in (data[:at] + data[at + 1 :], data[:at], data[:at] + byte + data[at:]):
        assert verdict(changed) is not None
    replaced = data[:at] + byte + data[at + 1 :]
    assert (verdict(replaced) is None) == (replaced == data)


@given(first=issued(), second=issued(), chance=st.data())
@settings(max_examples=100, deadline=None)
def test_lines_of_two_receipts_make_no_third(first, second, chance):
    lines, others = first.split(b"\n"), second.split(b"\n")
    at = chance.draw(st.integers(0, min(len(lines), len(others)) - 1))
    mixed = b"\n".join([*lines[:at], *others[at:]])
    assert (verdict(mixed) is None) == (mixed in (first, second))


@given(issued())
@settings(max_examples=100, deadline=None)
def test_what_is_read_is_written_again(data):
    assert receipt.parse(data).encode().encode() == data


@given(st.binary(max_size=600) | st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_noise_is_refused_and_nothing_else(noise):
    assert verdict(noise) == "malformed"
