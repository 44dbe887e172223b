"""Tessera's fsck, a stranger's program, judges a log of 70,001 entries that is served over HTTP.

Here the log is made of `exchange.formats` alone; what the exchange serves meets the same judge.
"""

import socket

import httpx
import pytest

from exchange.formats import canonical
from exchange.formats.note import Signer
from tests.support.fsck import judge, run_fsck
from tests.support.static_log import build_log, download, flip, serve

SIZE = 70_001
TOKEN = "auditors-token"
SIGNER = Signer.generate("log.example/a")


@pytest.fixture(scope="module")
def log():
    entries = [
        canonical.encode({"id": f"evt_{index}", "nonce": f"{index:032x}"}) for index in range(SIZE)
    ]
    return build_log(entries, SIGNER)


def judged(log, files, **options):
    with serve(files) as url:
        return run_fsck(url, log.vkey, size=log.size, root=log.root, **options)


def test_the_log_is_whole(log):
    verdict = judged(log, log.files)
    assert verdict.passed, verdict


def test_bundles_behind_a_token(log):
    with serve(log.files, bearer_token=TOKEN) as url:
        verdict = run_fsck(url, log.vkey, size=log.size, root=log.root, bearer_token=TOKEN)
        assert verdict.passed, verdict
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            download(url, SIZE)
        assert download(url, SIZE, bearer_token=TOKEN) == log.files


@pytest.mark.parametrize(
    ("path", "at"),
    [
        pytest.param("tile/0/000", 0, id="tile, first byte"),
        pytest.param("tile/0/137", 4000, id="tile, middle"),
        pytest.param("tile/0/273.p/113", -1, id="partial tile, last byte"),
        pytest.param("tile/1/000", 100, id="tile of level 1"),
        pytest.param("tile/1/001.p/17", -1, id="partial tile of level 1"),
        pytest.param("tile/2/000.p/1", 5, id="partial tile of level 2"),
        pytest.param("tile/entries/000", 1, id="bundle, a length"),
        pytest.param("tile/entries/100", 9000, id="bundle, an entry"),
        pytest.param("tile/entries/273.p/113", -3, id="partial bundle, last entry"),
        pytest.param("checkpoint", 3, id="checkpoint, origin"),
        pytest.param("checkpoint", len("log.example/a\n70"), id="checkpoint, size"),
        pytest.param("checkpoint", len("log.example/a\n70001\n") + 9, id="checkpoint, root"),
        pytest.param("checkpoint", -20, id="checkpoint, signature"),
    ],
)
def test_a_flipped_bit_does_not_pass(log, path, at):
    verdict = judged(log, flip(log.files, path, at))
    assert not verdict.passed, verdict


def test_another_log_of_the_same_size_does_not_pass(log):
    """The line of success alone is not enough: it may praise another log."""
    other = build_log([b"{}"] * SIZE, SIGNER)
    verdict = judged(log, other.files)
    assert "Successfully" in verdict.output
    assert not verdict.passed


def test_another_key_does_not_pass(log):
    with serve(log.files) as url:
        stranger = Signer.generate("log.example/a").vkey
        assert not run_fsck(url, stranger, size=log.size, root=log.root).passed


def test_a_server_that_never_answers_does_not_pass(log):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        verdict = run_fsck(url, log.vkey, size=log.size, root=log.root, timeout_seconds=2)
    assert not verdict.passed
    assert verdict.reason == "no verdict within 2 s"


@pytest.mark.parametrize(
    "output",
    [
        "",
        "fsck failed: anything",
        "Successfully fsck'd log",
        "Successfully fsck'd log with size 8 and root AAA= (00)",
        f"Successfully fsck'd log with size 7 and root {'A' * 43}= ({'11' * 32})",
        f"Successfully fsck'd log with size 8 and root {'A' * 43}= ({'00' * 32})",
    ],
)
def test_the_judge_wants_the_whole_line(output):
    assert not judge(output, 7, bytes(32)).passed
    good = f"I1 fsck.go] Successfully fsck'd log with size 7 and root {'A' * 43}= ({'00' * 32})\n"
    assert judge(good, 7, bytes(32)).passed
