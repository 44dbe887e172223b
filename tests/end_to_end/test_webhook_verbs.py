"""`exchange webhook …` against a running exchange, with a receiver that checks each signature."""

import json
import time
from pathlib import Path
from typing import Any

import httpx

from exchange.client import verify_delivery
from exchange.client.profile import create_profile
from exchange.formats.note import Verifier
from tests.support.actors import join, operator
from tests.support.commands import environment, exchange
from tests.support.receiver import Receiver, verify
from tests.support.server import ExchangeServer


def until(true, seconds=40):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_verbs_of_webhooks(tmp_path: Path) -> None:
    with (
        ExchangeServer(tmp_path / "state", webhook_allow="127.0.0.1") as server,
        Receiver() as receiver,
    ):
        sme = join(operator(server.state), "Small", ["sme"])
        create_profile(tmp_path / "profile.json", sme.profile)

        def run(*words: object, code: int = 0) -> str:
            done = exchange("webhook", *words, cwd=tmp_path, env=environment())
            assert done.returncode == code, done.stderr
            return done.stdout or done.stderr

        assert "webhook_address_not_allowed" in run("add", "https://elsewhere.example/", code=1)
        made = json.loads(run("add", receiver.url, "--json"))
        until(lambda: receiver.taken)
        jwks = httpx.get(server.url + "/oauth/jwks").json()
        first = receiver.taken[0]
        verify(first, receiver.origin, jwks)
        delivered = verify_delivery(receiver.url, first.headers, first.body, jwks)
        assert (delivered.index, delivered.event) == (first.index, first.event)
        assert [each["id"] for each in json.loads(run("list", "--json"))] == [made["id"]]
        assert made["id"] in run("list")
        assert json.loads(run("pause", made["id"], "--json"))["status"] == "paused"
        assert json.loads(run("show", made["id"], "--json"))["status"] == "paused"
        assert json.loads(run("resume", made["id"], "--json"))["status"] == "active"

        server.kill()  # whatever was in hand: nothing is lost, and the lease ends by itself
        server.start()
        came = len(receiver.taken)
        assert made["id"] in run("redeliver", made["id"], "--from", 0)
        until(lambda: len(receiver.taken) > came)
        assert receiver.taken[-1].event["data"]["organisation_id"] == sme.profile.organisation_id
        removed = json.loads(run("remove", made["id"], "--json"))
        assert removed == {"id": made["id"], "status": "removed"}
        assert json.loads(run("list", "--json")) == []
        again = run("add", receiver.url)
        assert "active" in again
        assert not again.startswith("{")
        assert "removed" in run("remove", again.split()[1])

        def log(*words: object) -> Any:
            done = exchange("log", *words, "--json", cwd=tmp_path, env=environment())
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        key, checkpoint = log("key")["log_key"], log("checkpoint")["checkpoint"]
        assert Verifier.parse(key).name == checkpoint.split("\n")[0]
        event = delivered.event["id"]
        [kept] = log("receipts", "receipts", "--event", event)
        assert kept["event_id"] == event
        assert (tmp_path / kept["path"]).read_text()
