"""The keys that sign tokens, rotated while workers serve; every change a leaf."""

import base64
import contextlib
import json
import time

import pytest

from exchange.errors import Unavailable
from exchange.oauth import keys as keys_module
from exchange.oauth import rotate_keys
from exchange.oauth.keys import add_token_key, schedule_token_key
from exchange.oauth.rotate_keys import rotate_token_keys
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


async def test_a_full_set_is_not_rotated_and_what_signs_stays(database):
    """None of eight keys is forgotten to make room, the one that signs least of all."""
    async with serve(database) as web:
        world = await open_world(web.parts)
        await web.token(world.operator)  # signed by the first key
        answers = [await rotate(web, world) for _ in range(7)]
        assert [each.status_code for each in answers] == [200] * 7
        path, before = web.parts.token_keys.path, web.parts.token_keys.path.read_bytes()
        waits = await rotate(web, world)
        assert (waits.status_code, waits.json()["type"][-15:]) == (409, "token_keys_full")
        assert "none may be retired while a newer one waits" in waits.json()["detail"]
        assert (await web.get(world.operator, "/v1/me")).status_code == 200
        assert path.read_bytes() == before
        keys = answers[-1].json()["keys"]
        assert [each["signs"] for each in keys] == [False] * 7 + [True]
        schedule_token_key(path, keys[0]["id"], 0)  # as once its time has come
        full = (await rotate(web, world)).json()
        assert full["type"][-15:] == "token_keys_full"
        for older in keys[1:]:
            assert older["id"] in full["hint"]
        assert keys[0]["id"] not in full["hint"]
        retired = await web.send(world.operator, "POST", "/v1/keys/token/retire")
        assert [each["id"] for each in retired.json()["keys"]] == [keys[0]["id"]]
    counts = judge(database.sql)
    assert counts.count("keys.token_rotated.v1") == 7
    assert counts.count("keys.token_retired.v1") == 1


async def test_a_rotation_that_the_log_does_not_take_leaves_no_key(database, monkeypatch):
    async with serve(database) as web:
        world, keys = await open_world(web.parts), web.parts.token_keys
        await web.token(world.operator)
        before = keys.path.read_bytes()

        async def away(write):
            raise Unavailable("log_unavailable", "The audit log takes no entries now.")

        with monkeypatch.context() as broken:
            broken.setattr(web.parts.ledger, "commit", away)
            for _ in range(9):
                with pytest.raises(Unavailable):
                    await rotate_token_keys(web.parts.ledger, keys, world.operator, at_once=True)
        assert keys.path.read_bytes() == before
        assert (await web.get(world.operator, "/v1/me")).status_code == 200


async def test_a_key_left_behind_by_a_rotation_that_was_killed_is_retired(database, monkeypatch):
    async with serve(database) as web:
        world, path = await open_world(web.parts), web.parts.token_keys.path
        left = add_token_key(path, rotate_keys.NEVER)  # and then the process was killed
        fresh = await web.send(world.operator, "POST", "/v1/keys/token/retire")
        assert fresh.json()["keys"][0]["id"] == left  # it may be of a rotation that is under way
        monkeypatch.setattr(rotate_keys, "ROTATION_SECONDS", -1)
        retired = await web.send(world.operator, "POST", "/v1/keys/token/retire")
        [kept] = retired.json()["keys"]
        assert kept["signs"]
        assert (await web.get(world.operator, "/v1/me")).status_code == 200
    assert judge(database.sql).count("keys.token_retired.v1") == 1


async def rotate(web, world):
    path = "/v1/keys/token/rotate"
    return await web.send(world.operator, "POST", path, json={"at_once": False})


def _kid(token: str) -> str:
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["kid"]
