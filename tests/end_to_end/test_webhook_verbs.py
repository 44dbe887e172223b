"""`exchange webhook …` against a running exchange, with a receiver that checks each signature."""

import json
import time
from pathlib import Path

import httpx

from exchange.client import verify_delivery
from exchange.client.profile import create_profile
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
        made = json.loads(run("add", receiver.url))
        until(lambda: receiver.taken)
        jwks = httpx.get(server.url + "/oauth/jwks").json()
        first = receiver.taken[0]
        verify(first, receiver.origin, jwks)
        delivered = verify_delivery(receiver.url, first.headers, first.body, jwks)
        assert (delivered.index, delivered.event) == (first.index, first.event)
        assert [each["id"] for each in json.loads(run("list", "--json"))] == [made["id"]]
        assert made["id"] in run("list")
        assert json.loads(run("pause", made["id"]))["status"] == "paused"
        assert json.loads(run("show", made["id"], "--json"))["status"] == "paused"
        assert json.loads(run("resume", made["id"]))["status"] == "active"

        server.kill()  # whatever was in hand: nothing is lost, and the lease ends by itself
        server.start()
        came = len(receiver.taken)
        run("redeliver", made["id"], "--from", 0)
        until(lambda: len(receiver.taken) > came)
        assert receiver.taken[-1].event["data"]["organisation_id"] == sme.profile.organisation_id
        assert "removed" in run("remove", made["id"])
        assert json.loads(run("list", "--json")) == []
