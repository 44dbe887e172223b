"""Signed notes and checkpoints: the drawn format, and everything that only resembles it."""

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.formats import checkpoint, note
from exchange.formats.checkpoint import Checkpoint
from exchange.formats.errors import CheckpointError, NoteError

LOG = note.Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = note.Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
WITNESS = note.Verifier(
    "witness.example/w", WITNESS_KEY.public_key().public_bytes_raw(), note.COSIGNATURE
)
TEXT = Checkpoint(LOG.name, 7, b"r" * 32).encode()
SIGNED = LOG.sign(TEXT)


def cosign(text, time=1_700_000_000, *, claimed=None):
    """A witness's line, as C2SP tlog-cosignature describes it."""
    signature = WITNESS_KEY.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
    data = WITNESS.key_id + (claimed or time).to_bytes(8, "big") + signature
    return f"— {WITNESS.name} {b64encode(data).decode()}\n"


def test_the_format_as_drawn():
    line = SIGNED.removeprefix(TEXT + "\n")
    dash, name, encoded = line.rstrip("\n").split(" ")
    assert (dash, name) == ("\u2014", LOG.name)
    assert b64decode(encoded)[:4] == LOG.key_id
    assert len(b64decode(encoded)) == 68


def test_the_specifications_own_example():
    # C2SP signed-note shows this note; its key is not given, so only the lines can be read.
    text = (
        "Ognuno sta solo sul cuor della terra\n"
        "trafitto da un raggio di sole:\n\n"
        "ed è subito sera.\n"
    )
    line = (
        "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKON"
        "rMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
    )
    with pytest.raises(NoteError, match="known key"):
        note.open_note(f"{text}\n{line}", [LOG.verifier])
    opened = note.open_note(LOG.sign(text) + line, [LOG.verifier])
    assert opened.text == text
    assert [each.name for each in opened.unknown] == ["quasimodo.example/salvatore"]


def test_keys_round_trip():
    assert note.Verifier.parse(LOG.vkey) == LOG.verifier
    assert note.Signer.parse(LOG.secret).sign(TEXT) == SIGNED
    assert note.Verifier.parse(WITNESS.vkey) == WITNESS
    fresh = note.Signer.generate("a")
    assert fresh.vkey != note.Signer.generate("a").vkey
    assert note.Signer.parse(fresh.secret).vkey == fresh.vkey


def test_open_tells_whose_signatures_verified():
    signed = SIGNED + cosign(TEXT) + OTHER.sign(TEXT).removeprefix(TEXT + "\n")
    opened = note.open_note(signed, [WITNESS, LOG.verifier])
    assert opened.text == TEXT
    assert opened.verified == (
        note.Signature(LOG.name, LOG.key_id),
        note.Signature(WITNESS.name, WITNESS.key_id, 1_700_000_000),
    )
    assert opened.unknown == (note.Signature(OTHER.name, OTHER.key_id),)


def line_of(signer):
    return signer.sign(TEXT).removeprefix(TEXT + "\n")


def changed_line(change):
    line = line_of(LOG).rstrip("\n")
    start, encoded = line.rsplit(" ", 1)
    return TEXT + "\n" + start + " " + change(encoded) + "\n"


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param("", id="empty"),
        pytest.param(TEXT, id="no signature"),
        pytest.param(TEXT + "\n", id="no signature line"),
        pytest.param(SIGNED[:-1], id="no final newline"),
        pytest.param(SIGNED + "\n", id="an empty line behind"),
        pytest.param(TEXT + line_of(LOG), id="no empty line before"),
        pytest.param(line_of(LOG), id="only a signature"),
        pytest.param(SIGNED + line_of(LOG), id="one key twice"),
        pytest.param(SIGNED.replace("\n7\n", "\n8\n"), id="another size"),
        pytest.param(SIGNED.replace("\n", "\r\n"), id="carriage returns"),
        pytest.param(SIGNED.replace("— ", "- "), id="hyphen"),
        pytest.param(SIGNED.replace("— ", "—\u00a0"), id="no-break space"),
        pytest.param(SIGNED.replace("— ", "—  "), id="two spaces"),
        pytest.param(SIGNED[:-1] + " \n", id="a space behind"),
        pytest.param(SIGNED.replace("— log", "— x.log"), id="another name"),
        pytest.param(SIGNED.replace("— log", "— lo+g"), id="plus in a name"),
        pytest.param(OTHER.sign(TEXT), id="another key of the name"),
        pytest.param(changed_line(lambda text: text.rstrip("=")), id="no padding"),
        pytest.param(changed_line(lambda text: text + "AAAA"), id="longer"),
        pytest.param(changed_line(lambda text: text[:4]), id="too short"),
        pytest.param(changed_line(lambda text: text[:-8] + "AAAA" + text[-4:]), id="forged"),
        pytest.param(SIGNED + cosign(TEXT, claimed=5), id="witness's time changed"),
        pytest.param(SIGNED + cosign(TEXT.replace("7", "8")), id="witness of another text"),
        pytest.param("\t" + SIGNED, id="control character"),
        pytest.param("\ud800" + SIGNED, id="lone surrogate"),
        pytest.param(SIGNED + "— x " + b64encode(bytes(68)).decode() + "\n\n", id="gap"),
        pytest.param(
            SIGNED + "".join(f"— x{i} {b64encode(bytes(68)).decode()}\n" for i in range(64)),
            id="65 signatures",
        ),
    ],
)
def test_open_refuses(signed):
    with pytest.raises(NoteError):
        note.open_note(signed, [LOG.verifier, WITNESS])


def test_trailing_bits_of_base64_are_refused():
    # 68 bytes end in "==…": the last letter's low bits belong to no byte.
    encoded = SIGNED.rstrip("\n").rsplit(" ", 1)[1]
    assert encoded.endswith("=")
    letter = encoded.rstrip("=")[-1]
    sibling = chr(ord(letter) + 1)
    bent = encoded.rstrip("=")[:-1] + sibling + "=" * encoded.count("=")
    assert b64decode(bent) == b64decode(encoded), "a lenient decoder sees no difference"
    with pytest.raises(NoteError):
        note.open_note(SIGNED.replace(encoded, bent), [LOG.verifier])


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a",
        "a+b+c",
        LOG.vkey + "\n",
        " " + LOG.vkey,
        LOG.vkey.replace("log.example", "log.example2"),
        LOG.vkey.replace("log", "l og"),
        LOG.vkey.replace(LOG.key_id.hex(), "00000000"),
        LOG.vkey.upper(),
        LOG.vkey[:-4],
        LOG.vkey + "AAAA",
        f"a+00000000+{b64encode(bytes([2]) + bytes(32)).decode()}",
        "a+00000000+====",
        LOG.secret,
    ],
)
def test_keys_refused(vkey):
    with pytest.raises(NoteError):
        note.Verifier.parse(vkey)


@pytest.mark.parametrize(
    "secret",
    ["", LOG.vkey, LOG.secret + "A", LOG.secret[:-4], LOG.secret.replace("/a", "/b"), WITNESS.vkey],
)
def test_private_keys_refused_without_quoting_them(secret):
    with pytest.raises(NoteError) as refused:
        note.Signer.parse(secret)
    assert LOG.secret[-20:-1] not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "a\u2003b", "\x00", "\ud800"])
def test_names_refused(name):
    with pytest.raises(NoteError):
        note.Signer.generate(name)


@pytest.mark.parametrize("text", ["", "no newline", "a\rb\n", "\x00\n", "\udcff\n"])
def test_texts_not_signed(text):
    with pytest.raises(NoteError):
        LOG.sign(text)


def test_checkpoints_round_trip():
    for head in (Checkpoint("o", 0, bytes(32)), Checkpoint("o x/数", 2**63 - 1, b"\xff" * 32)):
        assert checkpoint.parse(head.encode()) == head


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + TEXT,
        TEXT + "extension\n",
        "\n" + TEXT,
        TEXT.replace("\n7\n", "\n07\n"),
        TEXT.replace("\n7\n", "\n+7\n"),
        TEXT.replace("\n7\n", "\n-7\n"),
        TEXT.replace("\n7\n", "\n7 \n"),
        TEXT.replace("\n7\n", "\n７\n"),
        TEXT.replace("\n7\n", "\n7_0\n"),
        TEXT.replace("\n7\n", "\n\n"),
        TEXT.replace("\n7\n", "\n9223372036854775808\n"),
        TEXT.replace("=\n", "\n"),
        TEXT.replace("I=\n", "J=\n"),
        TEXT.replace("cnJy", "cnJ", 1),
        TEXT.replace("cnJy", "cn-y", 1),
        f"{LOG.name}\n7\n{b64encode(bytes(31)).decode()}\n",
        f"\n7\n{b64encode(bytes(32)).decode()}\n",
    ],
)
def test_checkpoints_refused(text):
    assert text != TEXT
    with pytest.raises(CheckpointError):
        checkpoint.parse(text)


@pytest.mark.parametrize(
    "fields", [("", 1, bytes(32)), ("a\nb", 1, bytes(32)), ("a", -1, bytes(32)), ("a", 1, b"")]
)
def test_checkpoints_not_made(fields):
    with pytest.raises(CheckpointError):
        Checkpoint(*fields)
