"""The keys that sign tokens, rotated while workers serve; every change a leaf."""

import base64
import contextlib
import json
import time

from exchange.oauth import keys as keys_module
from exchange.oauth import rotate_keys
from tests.support.desk import KEY, open_world
from tests.support.judge import judge
from tests.support.token_requests import Program
from tests.support.web import serve


async def test_rotated_and_retired_while_serving(database, monkeypatch):
    """On PostgreSQL two workers: what one signs the other takes, at every moment."""
    monkeypatch.setattr(keys_module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(rotate_keys, "WORKERS_SECONDS", 1)
    async with contextlib.AsyncExitStack() as stack:
        count = 2 if database.kind == "postgres" else 1
        workers = [await stack.enter_async_context(serve(database)) for _ in range(count)]
        world = await open_world(workers[0].parts)
        issuer = workers[0].parts.settings.issuer_url
        programs = [Program(w.http, issuer, world.sme.client_id, KEY) for w in workers]

        async def signed_by() -> set[str]:
            """The keys by which each worker signs now; each takes what the others signed."""
            tokens = [(await each.ask(bound=False)).json()["access_token"] for each in programs]
            for each in programs:
                for token in tokens:
                    headers = {"Authorization": f"Bearer {token}"}
                    assert (await each.http.get("/v1/me", headers=headers)).status_code == 200
            return {_kid(token) for token in tokens}

        old = await workers[0].token(world.sme)
        [first] = await signed_by()
        slow = (
            await workers[0].send(
                world.operator, "POST", "/v1/keys/token/rotate", json={"at_once": False}
            )
        ).json()["keys"]
        assert [(key["signs"], key["id"] == first) for key in slow] == [
            (False, False),
            (True, True),
        ]
        assert await signed_by() == {first}
        waits = await workers[-1].send(world.operator, "POST", "/v1/keys/token/retire")
        assert (waits.status_code, waits.json()["type"][-15:]) == (409, "token_key_waits")
        path = "/v1/keys/token/rotate"
        at_once = await workers[-1].send(world.operator, "POST", path, json={"at_once": True})
        newest = at_once.json()["keys"][0]["id"]
        deadline = time.monotonic() + 20
        while await signed_by() != {newest}:
            assert time.monotonic() < deadline
        for worker in workers:
            jwks = (await worker.http.get("/oauth/jwks")).json()
            assert [key["kid"] for key in jwks["keys"]] == [newest, slow[0]["id"], first]
        retired = await workers[0].send(world.operator, "POST", "/v1/keys/token/retire")
        # The operator's own token is of an older key: its last act was to retire it.
        assert [key["id"] for key in retired.json()["keys"]] == [newest]
        for worker in workers:
            answer = await worker.http.get("/v1/me", headers={"Authorization": f"Bearer {old}"})
            assert answer.json()["type"][-17:] == "token_key_unknown"
        assert await signed_by() == {newest}
    counts = judge(database.sql)
    assert counts.count("keys.token_rotated.v1") == 2
    assert counts.count("keys.token_retired.v1") == 1


def _kid(token: str) -> str:
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["kid"]
