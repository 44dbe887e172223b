"""`exchange connection …` and `exchange keys …` against a running exchange and a real service."""

import contextlib
import json
import os
import pty
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exchange.client.profile import create_profile
from tests.support.actors import join, operator
from tests.support.commands import COMMAND, environment, exchange
from tests.support.server import ExchangeServer

SECRET, OTHER = "planted-secret-0a1b2c3d", "another-secret-9f8e7d6c"


class Service(BaseHTTPRequestHandler):
    """Lets in who brings one of the secrets in the header that it wants."""

    wanted: str = f"Bearer {SECRET}"

    def do_HEAD(self) -> None:
        self.send_response(200 if self.headers.get("Authorization") == self.wanted else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(tmp_path: Path):
    with ExchangeServer(
        tmp_path / "state", upstream_allow="127.0.0.1", sweep_seconds="0.2"
    ) as started:
        by = operator(started.state)
        create_profile(tmp_path / "profile.json", join(by, "Mill", ["platform"]).profile)
        yield started


def test_the_verbs_of_connections(server, service, tmp_path: Path) -> None:
    said: list[str] = []

    def run(*words: object, code: int = 0, stdin: str | None = None) -> str:
        done = exchange("connection", *words, cwd=tmp_path, env=environment(), stdin=stdin)
        assert done.returncode == code, done.stderr
        said.append(done.stdout + done.stderr)
        return done.stdout or done.stderr

    url = f"http://127.0.0.1:{service}/"
    chosen = ("--name", "Our service 服务", "--credential", "bearer", "--json")
    (tmp_path / "secret").write_text(OTHER + "\n")
    made = json.loads(run("add", "http", url, *chosen, "--secret", "secret"))
    assert made["credential"]["kind"] == "bearer"
    assert "credential_refused" in run("check", made["id"], code=1)
    run("credential", made["id"], "--secret", "-", stdin=SECRET + "\n")
    assert json.loads(run("check", made["id"], "--json"))["code"] == "reachable"
    assert "Our service 服务" in run("list")
    assert json.loads(run("show", made["id"], "--json"))["url"] == url
    renamed = json.loads(run("edit", made["id"], "--name", "Renamed", "--json"))
    assert (renamed["name"], renamed["url"]) == ("Renamed", url)
    elsewhere = ("edit", made["id"], "--url", "http://127.0.0.1:9/")
    assert "credential_needed" in run(*elsewhere, code=1)
    run(*elsewhere, "--credential", "bearer", "--secret", "secret")
    assert "not_reached" in run("check", made["id"], code=1)
    assert "address_not_allowed" in run("add", "http", "https://10.0.0.1/", "--name", "a", code=1)

    store = ("add", "s3", url, "--name", "Store", "--bucket", "flights", "--secret", "-")
    assert "these lines: access_key, secret_key" in run(*store, code=2, stdin=SECRET)
    kept = json.loads(run(*store, "--json", stdin=f"AKIA{OTHER}\n{SECRET}\n"))
    assert (kept["bucket"], kept["region"]) == ("flights", "us-east-1")
    assert "--secret FILE" in run("credential", kept["id"], code=2, stdin="")
    assert "removed" in run("remove", kept["id"])
    assert [each["id"] for each in json.loads(run("list", "--json"))] == [made["id"]]
    for text in (*said, server.log()):
        assert SECRET not in text
        assert OTHER not in text


def test_a_secret_is_asked_for_and_not_echoed(server, service, tmp_path: Path) -> None:
    """At a terminal, as a person would."""
    words = ["connection", "add", "http", f"http://127.0.0.1:{service}/", "--name", "a"]
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words, "--credential", "bearer"],
        cwd=tmp_path,
        env=environment(),
        stdin=inner,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    asked = b""
    while not asked.endswith(b"token: "):  # from then on the terminal does not echo
        piece = process.stderr.read1(64)
        assert piece, asked
        asked += piece
    os.write(outer, SECRET.encode() + b"\n")
    out, err = process.communicate(timeout=60)
    os.set_blocking(outer, False)
    with contextlib.suppress(BlockingIOError):
        asked += os.read(outer, 4096)
    os.close(inner)
    os.close(outer)
    assert process.returncode == 0, err
    assert b"bearer" in out
    assert SECRET.encode() not in asked + out + err


def test_the_verbs_of_keys(server, service, tmp_path: Path) -> None:
    def run(*words: object, code: int = 0, profile="state/keys/operator.json") -> str:
        done = exchange(*words, "--profile", profile, cwd=tmp_path, env=environment())
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    (tmp_path / "secret").write_text(SECRET + "\n")
    url, mine = f"http://127.0.0.1:{service}/", "profile.json"
    add = ("connection", "add", "http", url, "--name", "a", "--credential", "bearer", "--json")
    made = json.loads(run(*add, "--secret", "secret", profile=mine))
    [first] = json.loads(run("keys", "show", "--json"))["keys"]
    assert first["credentials"] == 1
    assert "403" in run("keys", "rotate-master", code=1, profile=mine)
    new, old = json.loads(run("keys", "rotate-master", "--json"))["keys"]
    assert (new["seals"], old["id"]) == (True, first["id"])
    deadline = time.monotonic() + 20
    while json.loads(run("keys", "show", "--json"))["keys"][1]["credentials"]:
        assert time.monotonic() < deadline
    assert new["id"] in run("keys", "retire-master")
    [left] = json.loads(run("keys", "show", "--json"))["keys"]
    assert (left["id"], left["credentials"]) == (new["id"], 1)
    assert "reachable" in run("connection", "check", made["id"], profile=mine)
    keys = (server.state / "keys" / "master.json").read_text()
    for key in json.loads(keys)["keys"]:
        assert key not in server.log()
