"""`exchange run`: every step of the path, serving on, stopping, going on, and proofs that last."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pyarrow.parquet as parquet
import pytest

from tests.support.commands import Running, environment, exchange, is_alive
from tests.support.english import english
from tests.support.server import free_port

STEPS = [
    "Starting the exchange on http://127.0.0.1:",
    "1. The operator registers three organisations, and invites two people of the platform.",
    "2. The platform publishes a real data set, under terms of three kinds, and rows to try.",
    "336,776 flights",
    "3. The SME authenticates by OAuth: client_credentials with private_key_jwt.",
    "4. The SME asks for access, for the purpose logistics_planning.",
    "permitted: grt_",
    "5. The SME downloads under the grant.",
    "sha256 as published ✓",
    "336,776 flights read; most by (mean delay): UA 58,665 (12.1 min)",
    "6. The SME asks again, for another purpose: credit_assessment.",
    "refused, and why, and what would make it a yes:",
    "7. The SME follows the remedy, and asks for scientific_research.",
    "permitted: grt_",
    "8. The SME renews its first grant before it ends.",
    "9. The SME asks for what people approve: a form filled in, terms accepted.",
    "provider has it since ",
    "10. The platform asks back, the SME answers, and two people approve.",
    "questioned ",
    "answered ",
    "approved ",
    "approved ",
    "approved: grt_",
    "it names the accepted terms: sha256:",
    "11. The platform withdraws an offering: its grants go on, no new one begins.",
    "sha256 as published ✓",
    "offering_not_published",
    "12. The platform offers a service of its own: 3 calls a grant.",
    "its credential sealed",
    "13. The SME calls it until its calls are used up.",
    "GET stats/delays?by=carrier: 16 rows",
    "GET stats/delays?by=origin: 3 rows",
    "GET stats/delays?by=month: 12 rows",
    "refused: The grant allows 3 calls and all are used.",
    "→ Renew the grant: `exchange grant renew grt_",
    "14. The SME follows the remedy: it renews the grant, and calls again.",
    "GET stats/delays?by=carrier: 16 rows",
    "15. The platform revokes a grant while its download runs.",
    "the line is cut: ",
    "of 31,053,850 bytes, ",
    "was revoked: It is no longer offered. The table is being replaced.",
    "16. Each side sees what was used, and what is left.",
    "4 uses, ",
    "the platform, by offering:",
    "the auditor, by consumer:",
    "17. The auditor lists the log and takes the receipts.",
    "grant.activated.v1",
    "grant.revoked.v2",
    "18. The auditor verifies the whole log: every entry, every tile, every root.",
    "entries verified, log ",
    "19. The auditor verifies the receipts offline: the server is stopped.",
    "receipts verified, log ",
    "The exchange serves on http://127.0.0.1:",
    "Try next, in another terminal:",
]
LAST = "  .venv/bin/exchange verify demo/receipts/*.tlog-proof demo/grant.tlog-proof --log-key "
NO_NETWORK = """import socket
def refuse(*arguments, **options):
    raise OSError("this test allows no network")
socket.socket.connect = socket.socket.sendto = socket.getaddrinfo = refuse
"""


class Run:
    """One `exchange run` in a folder, from its start to its end by a signal."""

    def __init__(self, folder: Path, port: int, how: signal.Signals, *arguments: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        env = environment(port=port, state_dir=folder / "state")
        run = Running("run", *arguments, cwd=folder, env=env)
        try:
            run.read_until(LAST)
            self.health = httpx.get(f"{self.url}/healthz")
            self.ready = httpx.get(f"{self.url}/readyz")
            children = run.children()
            self.served_by_a_child = len(children) == 1
            self.exit_code = run.end(how)
            self.left_behind = [pid for pid in children if is_alive(pid)]
        finally:
            run.kill()
        self.said = run.said
        self.profiles = {
            name: json.loads((folder / "demo" / f"{name}.json").read_text())
            for name in ("platform", "sme", "auditor")
        }
        self.ids = re.findall("(?:off|grt)_[0-9a-z_]+", self.said)[:5]
        self.receipts = sorted(path.name for path in (folder / "demo" / "receipts").iterdir())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("newcomer")


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def first(folder, port):
    return Run(folder, port, signal.SIGINT)


@pytest.fixture(scope="module")
def second(folder, port, first):
    return Run(folder, port, signal.SIGTERM, "--lang", "zh")


def test_every_step_of_the_path_is_printed_in_order(first):
    position = 0
    for step in STEPS:
        found = first.said.find(step, position)
        assert found >= 0, f"{step!r} is not said, or not in its place:\n{first.said}"
        position = found + len(step)


def test_a_refusal_says_why_and_what_would_help(first, second):
    for run, why, remedy in (
        (first, "The purpose “credit assessment” is not allowed", "Choose one of these purposes:"),
        (second, "不允许用于“信用评估”", "请选择下列用途之一"),
    ):
        lines = run.said.splitlines()
        [reason] = [line for line in lines if "purpose_not_allowed" in line]
        [advice] = [line for line in lines if "choose_purpose" in line]
        assert reason.startswith("  ✗ "), reason
        assert why in reason
        assert advice.startswith("  → "), advice
        assert remedy in advice
    assert "2013年纽约出港航班" in second.said


@pytest.mark.parametrize("which", ["first", "second"])
def test_it_goes_on_serving_until_a_signal_and_leaves_nothing(which, request):
    run = request.getfixturevalue(which)
    assert run.health.json()["status"] == "ok"
    assert run.ready.json()["status"] == "ready"
    assert run.served_by_a_child
    assert run.exit_code == 0
    assert run.said.endswith("\nStopping.\n" if which == "first" else "\n正在停止。\n")
    assert run.left_behind == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{run.url}/healthz")


def test_what_was_downloaded_is_what_was_published(folder, first):
    published = folder / "demo" / "platform" / "flights.parquet"
    downloaded = folder / "demo" / "downloads" / "flights.parquet"
    assert downloaded.read_bytes() == published.read_bytes()
    assert parquet.read_metadata(downloaded).num_rows == 336_776
    assert hashlib.sha256(downloaded.read_bytes()).hexdigest() in first.said
    assert not [*folder.rglob("*.part")]


def test_profiles_are_for_their_owner_only(folder, first):
    for name in ("demo/platform.json", "demo/sme.json", "state/keys/operator.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name


def test_a_second_run_goes_on_from_the_kept_state(first, second):
    assert second.profiles == first.profiles
    assert second.ids == first.ids
    assert [each[:4] for each in first.ids] == ["off_"] * 4 + ["grt_"]
    assert set(first.receipts) <= set(second.receipts)
    assert second.ready.json()["log_size"] >= first.ready.json()["log_size"] == 59
    assert second.said.count("（沿用已有）") == 10


def test_all_but_names_codes_and_commands_is_in_the_language_that_was_asked_for(first, second):
    kept = [line for line in second.said.splitlines() if line not in first.said.splitlines()]
    assert len(kept) > 60
    assert english("\n".join(kept)) == []  # but what the participants wrote in the first run
    assert english(first.said)


@pytest.fixture
def offline(folder, second, tmp_path):
    """The demo folder alone, and how to run a verb without network: no state, no server."""
    state, moved = folder / "state", tmp_path / "moved away"
    state.rename(moved)
    for prefix in (("unshare", "-n"), ("unshare", "-rn")):
        if (
            shutil.which("unshare")
            and not subprocess.run([*prefix, "true"], capture_output=True).returncode
        ):
            yield folder, environment(), prefix
            break
    else:
        (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
        env = environment()
        yield folder, env | {"PYTHONPATH": f"{tmp_path}:{env['PYTHONPATH']}"}, ()
    moved.rename(state)


def test_the_receipts_verify_without_server_state_and_network(offline):
    folder, env, prefix = offline
    receipts = sorted((folder / "demo" / "receipts").glob("*.tlog-proof"))
    key = folder / "demo" / "log.vkey"
    done = exchange("verify", *receipts, "--log-key", key, cwd=folder, env=env, before=prefix)
    assert done.returncode == 0, done
    assert len(receipts) >= 40
    assert f"{len(receipts)} of {len(receipts)} receipts verified" in done.stdout
    assert "witnessed by 0 of 0" in done.stdout
    assert re.search(r"purpose +credit_assessment", done.stdout)  # the refusal is in the log too
    listed = exchange("log", "list", "-p", "demo/auditor.json", cwd=folder, env=env, before=prefix)
    assert listed.returncode == 2  # there is no network indeed
    assert "does not answer" in listed.stderr


def test_one_flipped_byte_is_refused(offline, tmp_path):
    folder, env, prefix = offline
    good = folder / "demo" / "grant.tlog-proof"
    data = good.read_bytes()
    bad = []
    for place in (30, len(data) // 2, data.index(b"\n\n") - 5, len(data) - 20):
        path = tmp_path / f"flipped-{place}.tlog-proof"
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        bad.append(path)
    key = folder / "demo" / "log.vkey"
    done = exchange("verify", good, *bad, "--log-key", key, cwd=folder, env=env, before=prefix)
    assert done.returncode == 1, done
    assert done.stdout.count("✓") == 1
    assert done.stderr.count("✗") == len(bad)
    assert f"{len(bad)} of {len(bad) + 1} receipts refused" in done.stderr


def test_cut_off_in_the_middle_it_leaves_nothing_behind(folder, second):
    """The terminal is closed while the path is played."""
    env = environment(port=free_port(), state_dir=folder / "state")
    run = Running("run", cwd=folder, env=env)
    try:
        run.read_until("1. The operator")
        [server] = run.children()
        assert run.end(signal.SIGHUP) == 130
        assert not is_alive(server)
    finally:
        run.kill()


def test_its_server_does_not_outlive_it(folder, second):
    """Killed without a chance to stop anything: the next run must find its port free."""
    run = Running("run", cwd=folder, env=environment(port=free_port(), state_dir=folder / "state"))
    try:
        run.read_until("1. The operator")
        [server] = run.children()
        assert run.end(signal.SIGKILL) == -signal.SIGKILL
        deadline = time.monotonic() + 20
        while is_alive(server) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not is_alive(server)
    finally:
        run.kill()
