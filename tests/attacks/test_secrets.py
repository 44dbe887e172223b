"""Secrets planted beforehand appear in no answer and in no log line, whatever goes wrong.

A whole story is told, then everything is broken: malformed bodies that carry secrets, foreign
tokens, a database that is gone, damaged or refuses the password, rows that make verbs raise.
"""

import contextlib
import json
import secrets
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from exchange.client.session import Refusal
from tests.support.infra import postgres_server
from tests.support.server import ROOT, ExchangeServer
from tests.support.watch import Watch
from tests.support.watched_story import Story, private_parts


@pytest.fixture(params=["info", "debug"])
def story(request: pytest.FixtureRequest, tmp_path: Path):
    with ExchangeServer(tmp_path / "state", log_level=request.param) as server:
        yield Story(server)


@pytest.mark.sqlite
def test_a_whole_story_and_every_misbehaviour(story: Story):
    story.tell()
    story.misbehave()
    assert any("token key" in secret.what for secret in story.watch.secrets)
    story.assert_kept()
    story.assert_at_rest()
    rotated = story.operator.post("/v1/keys/master/rotate")["keys"]
    for key in json.loads((story.server.state / "keys" / "master.json").read_text())["keys"]:
        story.watch.plant("a master key", key)
    assert [key["seals"] for key in rotated] == [True, False]
    story.assert_kept()
    story.assert_at_rest()


@pytest.mark.sqlite
def test_rows_that_make_verbs_raise(story: Story):
    """The exception's own message holds the secret: a traceback would show it."""
    story.tell()
    planted = story.watch.plant("what a damaged row holds", "planted_row_" + secrets.token_hex(8))
    database = story.server.state / "database" / "exchange.sqlite3"
    with sqlite3.connect(database) as connection:
        broken = json.dumps({planted: planted})
        connection.execute("UPDATE offerings SET terms = ?", (broken,))
        connection.execute("UPDATE organisations SET attributes = ?", (broken,))
        connection.execute("UPDATE entries SET entry = ?", (planted.encode(),))
        connection.execute("UPDATE connections SET settings = ?, url = ''", (broken,))
        connection.execute("UPDATE connection_secrets SET sealed = ?", (planted,))
    answers = story.everywhere()
    assert {500} <= {answer.status_code for answer in answers}  # else nothing was provoked
    assert "unexpected_error" in story.server.log()
    assert "TypeError" in story.server.log()
    story.assert_kept()


@pytest.mark.sqlite
@pytest.mark.parametrize("how", ["removed", "damaged"])
def test_a_database_that_goes_away(tmp_path: Path, how: str):
    with ExchangeServer(tmp_path / "state", log_level="debug") as server:
        story = Story(server)
        story.tell()
        tokens = {role: session.token() for role, session in story.sessions.items()}
        for path in (server.state / "database").glob("exchange.sqlite3*"):
            if how == "removed":
                path.unlink()
            else:
                path.write_bytes(story.watch.secrets[0].text.encode() * 10_000)
        answers = story.everywhere(tokens)
        statuses = {answer.status_code for answer in answers}
        assert how == "removed" or 503 in statuses, statuses
        assert 500 not in statuses, [a.request.url.path for a in answers if a.status_code == 500]
        story.assert_kept()


@pytest.mark.postgres
def test_a_database_that_refuses_the_password(tmp_path: Path):
    """From the start, and in the middle: its password is in no message of any layer."""
    postgres = postgres_server()
    name, password = f"planted_{secrets.token_hex(4)}", f"planted-{secrets.token_hex(12)}"
    rules = postgres.directory / "data" / "pg_hba.conf"
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        before = rules.read_text()
        rules.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n{before}")
        admin.execute("SELECT pg_reload_conf()")
        url = f"postgresql://{name}:{password}@127.0.0.1:{postgres.port}/{name}"
        try:
            with ExchangeServer(tmp_path / "state", database_url=url) as server:
                story = Story(server)
                story.watch.plant("the database's password", password)
                story.tell()
                story.misbehave()
                tokens = {role: session.token() for role, session in story.sessions.items()}
                admin.execute(f"ALTER ROLE {name} PASSWORD 'another'")
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                    (name,),
                )
                answers = story.everywhere(tokens)
                statuses = [a.status_code for a in answers]
                assert 503 in statuses
                assert 500 not in statuses, [(a.request.url.path, a.text) for a in answers]
                story.assert_kept()
            done = subprocess.run(
                [sys.executable, "-m", "exchange.cli.main", "serve"],
                cwd=ROOT,
                env=server.environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 2, done.stderr
            assert "EXCHANGE_DATABASE_URL" in done.stderr
            assert password not in done.stdout + done.stderr
            assert "Traceback" not in done.stderr
        finally:
            rules.write_text(before)
            admin.execute("SELECT pg_reload_conf()")
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            admin.execute(f"DROP ROLE {name}")


@pytest.mark.sqlite
def test_keys_that_cannot_be_read_are_not_shown(tmp_path: Path):
    """A damaged key is still nearly a key: the message names the file only."""
    server = ExchangeServer(tmp_path / "state")
    with server:
        pass
    names = ("log.key", "token.jwk", "master.json")
    for path in [server.state / "keys" / name for name in names]:
        before = path.read_bytes()
        for damaged in (before[: len(before) // 2], before[:-9] + b"\xff" + before[-8:], b""):
            path.write_bytes(damaged)
            done = subprocess.run(
                [sys.executable, "-m", "exchange.cli.main", "serve"],
                cwd=ROOT,
                env=server.environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
            said = done.stdout + done.stderr
            assert done.returncode == 2, (path.name, said[-2000:])
            assert "Traceback" not in said, path.name
            secret = before.decode().strip()
            pieces = private_parts(json.loads(secret)) if secret.startswith("{") else []
            if path.name == "master.json":
                pieces = json.loads(secret)["keys"]
            for piece in pieces or [secret.split("+", 4)[-1]]:
                assert piece[:20] not in said, path.name
        path.write_bytes(before)


@pytest.mark.sqlite
def test_a_policy_server_that_is_away(tmp_path: Path):
    planted = "planted-" + secrets.token_hex(8)
    settings = {"policy_engine": "server", "opa_url": f"http://user:{planted}@127.0.0.1:9"}
    server = ExchangeServer(tmp_path / "state", **settings)
    with pytest.raises(RuntimeError, match="not ready"):
        server.start(wait=6)
    try:
        assert planted not in server.log()
        answer, deadline = None, time.monotonic() + 60  # on a busy machine it is not yet there
        while answer is None and server.process is not None and server.process.poll() is None:
            assert time.monotonic() < deadline, server.log()[-2000:]
            with contextlib.suppress(httpx.ConnectError):
                answer = httpx.get(server.url + "/readyz", timeout=20)
            time.sleep(0.05)
        if answer is not None:
            assert answer.status_code == 503
            assert planted not in answer.text
    finally:
        server.stop()


def test_the_watch_sees_a_leak():
    """The checker itself: without this, silence above would prove nothing."""
    watch = Watch()
    watch.plant("a thing", "0123456789abcdef", "owner")
    request = httpx.Request("GET", "http://x/y")
    for role, expected in (("owner", 0), ("other", 1)):
        for options in ({"text": "a 0123456789abcdef b"}, {"headers": {"X": "0123456789abcdef"}}):
            watch.shown.clear()
            watch.hook(role)(httpx.Response(200, request=request, **options))
            assert len(watch.leaks()) == expected
    assert len(watch.logged(["fine", "with 0123456789abcdef in it"])) == 1


def test_a_refusal_reads_as_one():
    """The CLI prints refusals: a problem's words, never the request."""
    shown = str(Refusal(403, {"type": "urn:x", "detail": "No.", "token": "planted"}))
    assert "planted" not in shown
