"""Receipts: what verifies, and each reason for which one is refused."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.formats import canonical, merkle, note, receipt
from exchange.formats.checkpoint import Checkpoint
from exchange.formats.receipt import Receipt, ReceiptRefused

LOG = note.Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ENTRIES = [canonical.encode({"id": f"evt_{index}", "nonce": "0f" * 16}) for index in range(11)]
TREE = merkle.Extension(0, [], [merkle.leaf_hash(entry) for entry in ENTRIES])


def signed(text=None, signer=LOG):
    return signer.sign(text or Checkpoint(LOG.name, TREE.new_size, TREE.root).encode())


def made(index=5, note_text=None):
    return Receipt(ENTRIES[index], index, tuple(TREE.proof(index)), note_text or signed())


def reason_of(data, verifier=LOG.verifier, witnesses=()):
    with pytest.raises(ReceiptRefused) as refused:
        receipt.verify(receipt.parse(data), verifier, witnesses)
    return refused.value.reason


@pytest.mark.parametrize("index", range(11))
def test_a_receipt_verifies_and_tells_what_it_proves(index):
    text = made(index).encode()
    for data in (text, text.encode()):
        assert receipt.parse(data) == made(index)
    verified = receipt.verify(receipt.parse(text.encode()), LOG.verifier)
    assert verified.entry == ENTRIES[index]
    assert verified.event == {"id": f"evt_{index}", "nonce": "0f" * 16}
    assert (verified.index, verified.checkpoint.size) == (index, 11)
    assert verified.checkpoint.root == TREE.root
    assert verified.log_signature == note.Signature(LOG.name, LOG.key_id)
    assert (verified.witnesses, verified.witnesses_known, verified.unknown) == ((), 0, ())


def test_the_format_as_drawn():
    lines = made(0).encode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == "extra " + b64encode(ENTRIES[0]).decode()
    assert lines[2] == "index 0"
    assert lines[3:7] == [b64encode(each).decode() for each in TREE.proof(0)]
    assert lines[7] == ""
    assert "\n".join(lines[8:]) == signed()


def test_witnesses_are_counted():
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([index]) * 32) for index in (1, 2, 3)]
    known = [
        note.Verifier(f"w{at}", key.public_key().public_bytes_raw(), note.COSIGNATURE)
        for at, key in enumerate(keys)
    ]
    text = Checkpoint(LOG.name, TREE.new_size, TREE.root).encode()

    def line(at, time):
        signature = keys[at].sign(f"cosignature/v1\ntime {time}\n{text}".encode())
        encoded = b64encode(known[at].key_id + time.to_bytes(8, "big") + signature).decode()
        return f"— w{at} {encoded}\n"

    data = made(5, signed() + line(0, 1000) + line(2, 3000)).encode()
    verified = receipt.verify(receipt.parse(data), LOG.verifier, known[:2])
    assert [(each.name, each.time) for each in verified.witnesses] == [("w0", 1000)]
    assert verified.witnesses_known == 2
    assert [each.name for each in verified.unknown] == ["w2"]
    # Witnesses alone are no log.
    assert reason_of(made(5, text + "\n" + line(0, 1)).encode(), witnesses=known) == "not_signed"
    bad = made(5, signed() + line(0, 1000).replace("w0", "w1")).encode()
    assert receipt.verify(receipt.parse(bad), LOG.verifier, known).witnesses == ()


def test_wrong_key():
    stranger = note.Signer.generate(LOG.name)
    assert reason_of(made().encode(), stranger.verifier) == "not_signed"
    witness = note.Verifier(LOG.name, LOG.verifier.public_key, note.COSIGNATURE)
    assert reason_of(made().encode(), witness) == "wrong_key"
    assert reason_of(made().encode(), witnesses=[LOG.verifier]) == "wrong_key"


def test_the_origin_is_the_name_of_the_key():
    text = Checkpoint("log.example/b", TREE.new_size, TREE.root).encode()
    assert reason_of(made(5, signed(text)).encode()) == "wrong_origin"


def test_an_entry_of_another_index_or_tree():
    first, second = made(4), made(5)
    assert reason_of(Receipt(first.entry, 5, second.proof, signed()).encode()) == "not_in_log"
    assert reason_of(Receipt(second.entry, 4, second.proof, signed()).encode()) == "not_in_log"
    assert reason_of(Receipt(second.entry, 5, second.proof[:-1], signed()).encode()) == "not_in_log"
    assert reason_of(Receipt(second.entry, 11, second.proof, signed()).encode()) == "not_in_log"
    smaller = Checkpoint(LOG.name, 10, TREE.root).encode()
    # Size 10 has this proof's shape for entry 5, so the signature is what binds the size to 11.
    assert reason_of(made(5, signed().replace("\n11\n", "\n10\n")).encode()) == "not_signed"
    assert reason_of(made(9, signed(smaller)).encode()) == "not_in_log"


@pytest.mark.parametrize("entry", [b"one", b'{"a": 1}', b'{"a":1,"a":2}', b"[1]", b'"x"', b"\xff"])
def test_an_entry_that_is_no_event(entry):
    text = Checkpoint(LOG.name, 1, merkle.leaf_hash(entry)).encode()
    assert reason_of(Receipt(entry, 0, (), signed(text)).encode()) == "no_event"


GOOD = made().encode()
FIRST_HASH = GOOD.split("\n")[3]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "\n\n",
        GOOD.replace("@v1", "@v2"),
        " " + GOOD,
        "\ufeff" + GOOD,
        "\n" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("extra ", "Extra "),
        GOOD.replace("extra ", "extra  "),
        GOOD.replace("index 5", "index 05"),
        GOOD.replace("index 5", "index +5"),
        GOOD.replace("index 5", "index 5 "),
        GOOD.replace("index 5", "index ٥"),
        GOOD.replace("index 5", "index -1"),
        GOOD.replace("index 5", "index " + "9" * 5000),
        GOOD.replace("index 5\n", ""),
        GOOD.replace(GOOD.split("\n")[1] + "\n", ""),
        GOOD.replace(GOOD.split("\n")[1], "extra "),
        GOOD.replace(GOOD.split("\n")[1], "extra " + b64encode(bytes(65536)).decode()),
        GOOD.replace(FIRST_HASH, FIRST_HASH + " "),
        GOOD.replace(FIRST_HASH, FIRST_HASH[:-4]),
        GOOD.replace(FIRST_HASH, FIRST_HASH.rstrip("=")),
        GOOD.replace(FIRST_HASH, "\n" + FIRST_HASH),
        GOOD + "x" * receipt.MAX_BYTES,
        GOOD.encode("utf-16"),
        GOOD.encode() + b"\xff",
    ],
    ids=range(26),
)
def test_malformed(data):
    assert data != GOOD
    assert reason_of(data) in ("malformed", "not_signed")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + text,
        lambda text: text + "\n",
        lambda text: text[:-1],
        lambda text: "\n" + text,
        lambda text: "",
        lambda text: text.replace("\n11\n", "\n11\nmore\n"),
    ],
)
def test_the_checkpoint_alone_stands_behind_the_empty_line(change):
    assert reason_of(made(5, change(signed()) or "\n").encode()) == "not_signed"


def test_signed_extension_lines_are_refused():
    text = Checkpoint(LOG.name, TREE.new_size, TREE.root).encode() + "more\n"
    assert reason_of(made(5, signed(text)).encode()) == "malformed"
