"""`exchange verify`: what it says of good receipts, bad ones, and wrong keys."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from exchange.cli.main import app
from exchange.formats import canonical, merkle, note
from exchange.formats.checkpoint import Checkpoint
from exchange.formats.receipt import Receipt
from exchange.formats.text import encode_base64

LOG = note.Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = note.Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(bytes(32)))
EVENT = {
    "id": "evt_1",
    "type": "exchange.grant.activated.v1",
    "subject": "grt_1",
    "time": "2026-01-01T00:00:00.000Z",
    "data": {
        "purpose": "logistics_planning",
        "actions": ["read"],
        "ends_ms": 1798017098030,
        "name": "蓝磨 \x1b[31m [red]x[/]",
        "what": "something else",
    },
}
ENTRIES = [canonical.encode({"id": f"evt_{i}"}) for i in range(6)]
ENTRIES[4] = canonical.encode(EVENT)
TREE = merkle.Extension(0, [], [merkle.leaf_hash(entry) for entry in ENTRIES])
SIGNED = LOG.sign(Checkpoint(LOG.name, TREE.new_size, TREE.root).encode())


def receipt(index=4, signed=SIGNED):
    return Receipt(ENTRIES[index], index, tuple(TREE.proof(index)), signed).encode()


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.tlog-proof"
    path.write_text(receipt())
    return path


def verify(*arguments, key=LOG.vkey, **options):
    command = ["verify", *map(str, arguments), *(("--log-key", str(key)) if key else ())]
    return CliRunner().invoke(app, command, **options)


def test_a_good_receipt_is_told_so_that_a_person_can_read_it(good):
    done = verify(good)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"✓ {good}"
    assert [line.strip() for line in lines[1:-2]] == [
        "what     grant.activated.v1 grt_1",
        "when     2026-01-01T00:00:00.000Z",
        "where    entry 4 of 6, log log.example/a",
        "signed   by the log; witnessed by 0 of 0",
        'actions  ["read"]',
        "ends_ms  1798017098030 (2026-12-23T09:11:38.030Z)",
        r"name     蓝磨 \u001b[31m [red]x[/]",
        "purpose  logistics_planning",
        "what     something else",
    ]
    assert lines[-2] == "✓ 1 of 1 receipts verified, log log.example/a"


@pytest.mark.parametrize(
    "event", [{}, {"data": None}, {"data": [1]}, {"data": {"x_ms": 2**53 - 1, "y_ms": -1}}]
)
def test_an_odd_entry_is_told_all_the_same(event, tmp_path):
    entry = canonical.encode(event)
    tree = merkle.Extension(0, [], [merkle.leaf_hash(entry)])
    signed = LOG.sign(Checkpoint(LOG.name, 1, tree.root).encode())
    (tmp_path / "odd").write_text(Receipt(entry, 0, (), signed).encode())
    done = verify(tmp_path / "odd")
    assert done.exit_code == 0, done.output
    assert "entry 0 of 1" in done.stdout


def test_it_says_what_is_not_proved(good):
    last = verify(good).stdout.splitlines()[-1]
    assert last == (
        "Proved: this log holds these entries. Not proved: that a grant is still in force; "
        "without witnesses, that no second log exists."
    )


def test_quiet_is_one_line_a_receipt(good):
    lines = verify(good, good, "--quiet").stdout.splitlines()
    assert lines[0] == f"✓ {good}  entry 4 of 6: grant.activated.v1"
    assert len(lines) == 4


def test_a_key_may_stand_in_a_file_or_in_the_environment(good, tmp_path):
    (tmp_path / "log.vkey").write_text(LOG.vkey + "\n")
    assert verify(good, key=tmp_path / "log.vkey").exit_code == 0
    assert verify(good, key=None, env={"EXCHANGE_LOG_KEY": LOG.vkey}).exit_code == 0
    assert verify(good, key=None, env={"EXCHANGE_LOG_KEY": ""}).exit_code == 2


def witness(seed, name):
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return note.Verifier(name, key.public_key().public_bytes_raw(), note.COSIGNATURE), key


def cosigned(signed, verifier, key, time=1_700_000_000):
    text = signed.partition("\n\n")[0] + "\n"
    signature = key.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
    line = encode_base64(verifier.key_id + time.to_bytes(8, "big") + signature)
    return signed + f"— {verifier.name} {line}\n"


def test_witnesses_are_counted_among_those_that_are_named(good):
    (first, key), (second, _) = witness(1, "w1"), witness(2, "w2")
    good.write_text(receipt(signed=cosigned(SIGNED, first, key)))
    assert (
        "witnessed by 1 of 2"
        in verify(good, "--witness", first.vkey, "--witness", second.vkey).stdout
    )
    said = verify(good).stdout
    assert "witnessed by 0 of 0; 1 signatures by keys that you did not name" in said
    forged = cosigned(SIGNED, first, witness(3, "w1")[1])
    good.write_text(receipt(signed=forged))
    assert verify(good, "--witness", first.vkey).exit_code == 1


def test_every_flipped_byte_is_refused(good, tmp_path):
    data = good.read_bytes()
    bad = tmp_path / "bad.tlog-proof"
    for place in range(0, len(data), 7):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        done = verify(bad)
        assert done.exit_code == 1, (place, done.output)
        assert done.stderr.startswith(f"✗ {bad}: ")
        assert "1 of 1 receipts refused" in done.stderr
        assert "✓" not in done.stdout


def test_one_bad_receipt_among_good_ones_is_enough(good, tmp_path):
    bad = tmp_path / "bad.tlog-proof"
    bad.write_text(receipt(signed=OTHER.sign(Checkpoint(LOG.name, 6, TREE.root).encode())))
    done = verify(good, bad, good, "-q")
    assert done.exit_code == 1
    assert done.stdout.count("✓") == 2
    assert "1 of 3 receipts refused" in done.stderr
    assert "receipts verified" not in done.output


def test_another_logs_key_refuses(good):
    assert verify(good, key=OTHER.vkey).exit_code == 1


def test_what_cannot_be_read_is_refused_in_words(good, tmp_path):
    binary, huge, pipe = tmp_path / "binary", tmp_path / "huge", tmp_path / "folder"
    binary.write_bytes(b"\xff\x00" * 100)
    with huge.open("wb") as file:
        file.truncate(1 << 40)  # sparse: it must not be read whole
    pipe.mkdir()
    done = verify(tmp_path / "none", binary, huge, pipe, "/dev/zero", good)
    assert done.exit_code == 1
    assert "cannot be read (No such file or directory)" in done.stderr
    assert "cannot be read (Is a directory)" in done.stderr
    assert "5 of 6 receipts refused" in done.stderr


@pytest.mark.parametrize(
    "key", ["", "nonsense", "a+b+c", "log.example/a+00000000+AAAA", LOG.secret, "x" * 5000]
)
def test_a_wrong_key_is_a_mistake_of_usage(good, key):
    done = verify(good, "--log-key", key, key=None)
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert LOG.secret[-20:] not in done.output


def test_no_receipt_and_no_key_are_mistakes_of_usage(good):
    assert verify().exit_code == 2
    assert verify(good, key=None).exit_code == 2
    assert os.environ.get("EXCHANGE_LOG_KEY") is None
