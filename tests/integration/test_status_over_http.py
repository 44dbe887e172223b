"""A gateway connected to its exchange over HTTP: what is revoked there is refused here.

Whatever becomes of the line or the clocks, nothing that was revoked passes, and what was closed for
want of news opens again by itself.
"""

import asyncio
import time
from contextlib import AsyncExitStack

import httpx
import pytest

from exchange.formats.jws import read_json, read_jws
from exchange.oauth.keys import load_token_keys
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.ledgers import OwnDatabase
from tests.support.server import ExchangeServer
from tests.support.status_gateway import Clocks, Link, http_gateway

HOUR = 3600.0


class Place:
    """A running exchange, a platform with an offering, an SME."""

    def __init__(self, server):
        self.server, self.operator = server, operator(server.state)
        self.platform = join(self.operator, "Platform", ["platform"])
        self.rival = join(self.operator, "Rival", ["platform"])
        self.sme = join(self.operator, "SME", ["sme"], SME_ATTRIBUTES)
        self.offering = publish(self.platform)

    def granted(self):
        """A grant and a token for it; of a client of its own, so that there may be many."""
        sme = join(self.operator, "SME", ["sme"], SME_ATTRIBUTES)
        grant = ask(sme, self.offering)["grant"]["id"]
        return sme, grant, sme.token(f"grant:{grant}")

    def moved(self, token, seconds):
        """The same token, issued at another time by the exchange's own key."""
        claims = read_json(read_jws(token).payload)
        times = {name: claims[name] + round(seconds) for name in ("iat", "exp")}
        return load_token_keys(self.server.state / "keys").sign({**claims, **times})

    def revoke(self, grant):
        self.platform.post(f"/v1/grants/{grant}/revoke", {"reason": "other"})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("status") / "state") as server:
        yield Place(server)


async def until(gateway, grant, token, said, seconds=20):
    deadline = time.monotonic() + seconds
    while (says := await gateway.says(grant, token)) != said:
        assert time.monotonic() < deadline, f"it says {says}, not {said}"
        await asyncio.sleep(0.005)


async def test_what_changes_at_the_exchange_is_so_at_the_gateway(place):
    _, grant, token = place.granted()
    async with http_gateway(place.platform.profile) as gateway:
        await until(gateway, grant, token, "ok")
        hold = {"target": grant, "reason": "unpaid"}
        held = place.platform.post("/v1/holds", hold)["id"]
        await until(gateway, grant, token, "grant_suspended")
        place.platform.post(f"/v1/holds/{held}/lift", {"text": "paid"})
        await until(gateway, grant, token, "ok")
        around = {"target": place.offering["id"], "reason": "other"}
        held = place.platform.post("/v1/holds", around)["id"]
        await until(gateway, grant, token, "grant_suspended")
        place.platform.post(f"/v1/holds/{held}/lift", {"text": ""})
        await until(gateway, grant, token, "ok")
        place.revoke(grant)
        await until(gateway, grant, token, "grant_revoked")
        other, second, another = place.granted()  # made while it follows
        await until(gateway, second, another, "ok")
        place.operator.post(f"/v1/clients/{other.profile.client_id}/disable")
        await until(gateway, second, another, "grant_revoked")


async def test_tokens_of_another_platforms_grants_and_without_a_status_are_refused(place):
    _, grant, token = place.granted()
    async with http_gateway(place.rival.profile) as gateway:
        await until(gateway, grant, token, "status_list_unknown")


async def test_a_cut_line_closes_within_ten_seconds_and_mended_it_opens(place):
    _, grant, token = place.granted()
    clocks = Clocks()
    async with (
        Link(place.server.port) as link,
        http_gateway(place.platform.profile, port=link.port, clocks=clocks) as gateway,
    ):
        await until(gateway, grant, token, "ok")
        link.cut()
        place.revoke(grant)
        while link.turned_away < 3:  # it tries again and again
            await asyncio.sleep(0.01)
        clocks.boot_moved += 10
        assert await gateway.says(grant, token) == "status_stale"
        link.mend()
        await until(gateway, grant, token, "grant_revoked")
        _, other, another = place.granted()
        await until(gateway, other, another, "ok")


async def test_a_line_that_stands_still_closes_too(place):
    """No end, no error: only no news. What comes of it later is as old as it is."""
    _, grant, token = place.granted()
    clocks = Clocks()
    async with (
        Link(place.server.port) as link,
        http_gateway(place.platform.profile, port=link.port, clocks=clocks) as gateway,
    ):
        await until(gateway, grant, token, "ok")
        link.stand_still()
        place.revoke(grant)
        clocks.boot_moved += 10.5
        assert await gateway.says(grant, token) == "status_stale"
        link.mend()
        await until(gateway, grant, token, "grant_revoked")


async def test_the_walls_clock_moved_by_an_hour_both_ways(place):
    """It decides how long a token lives, and never what stands or how old a list is."""
    _, grant, token = place.granted()
    _, revoked, old = place.granted()
    place.revoke(revoked)
    clocks = Clocks()
    async with http_gateway(place.platform.profile, clocks=clocks) as gateway:
        await until(gateway, grant, token, "ok")
        for moved, says in ((HOUR, "token_expired"), (-HOUR, "token_not_yet_valid")):
            clocks.wall_moved = moved
            assert await gateway.says(grant, token) == says
            assert await gateway.says(revoked, old) == says
            # What the moved clock takes for a token of now: its grant's status decides.
            assert await gateway.says(revoked, place.moved(old, moved)) == "grant_revoked"
            _, another, fresh = place.granted()
            fresh = place.moved(fresh, moved)
            await until(gateway, another, fresh, "ok")
            place.revoke(another)
            await until(gateway, another, fresh, "grant_revoked")
            clocks.wall_moved = 0.0
            await until(gateway, grant, token, "ok")
            assert await gateway.says(revoked, old) == "grant_revoked"


async def test_an_exchange_that_was_away_is_followed_again(place):
    _, grant, token = place.granted()
    async with http_gateway(place.platform.profile) as gateway:
        await until(gateway, grant, token, "ok")
        began = time.monotonic()
        place.server.stop()  # streams do not keep it from ending
        assert time.monotonic() - began < 8
        place.server.start()
        place.revoke(grant)
        await until(gateway, grant, token, "grant_revoked")


async def test_the_exchange_signs_with_another_key_and_the_old_one_is_retired(place):
    """Lists, events and tokens by a key that was made while this gateway follows."""
    _, grant, token = place.granted()
    async with http_gateway(place.platform.profile) as gateway:
        await until(gateway, grant, token, "ok")
        keys = place.operator.post("/v1/keys/token/rotate", {"at_once": True})["keys"]
        while not keys[0]["signs"]:
            await asyncio.sleep(0.1)
            keys = place.operator.get("/v1/keys/token")["keys"]
        _, revoked, another = place.granted()
        assert read_jws(another).header["kid"] == keys[0]["id"]
        await until(gateway, revoked, another, "ok")
        assert await gateway.says(grant, token) == "ok"
        place.revoke(revoked)
        await until(gateway, revoked, another, "grant_revoked")
        place.operator.post("/v1/keys/token/retire")
        place.revoke(grant)
        await until(gateway, grant, token, "grant_revoked")


def test_a_stream_ends_with_the_right_to_it(place):
    platform = join(place.operator, "Short-lived", ["platform"])
    path = f"/v1/status-lists/{platform.profile.organisation_id}/events?nonce={'n' * 22}"
    headers = {"Authorization": f"Bearer {platform.token()}"}
    began = time.monotonic()
    with httpx.stream("GET", place.server.url + path, headers=headers, timeout=30) as answer:
        pieces = answer.iter_raw()
        assert next(pieces).startswith(b"event: heartbeat")
        place.operator.post(f"/v1/clients/{platform.profile.client_id}/disable")
        for _ in pieces:
            pass
    assert time.monotonic() - began < 30  # and not after its minute


def test_who_has_the_list_and_nothing_else_has_none_that_is_old(place):
    path = f"/v1/status-lists/{place.platform.profile.organisation_id}"
    headers = {"Authorization": f"Bearer {place.platform.token()}"}
    before = int(time.time())
    claims = read_json(read_jws(httpx.get(place.server.url + path, headers=headers).text).payload)
    assert before <= claims["iat"] <= time.time()
    assert (claims["ttl"], claims["exp"] - claims["iat"]) == (10, 60)


def test_lists_are_shown_to_the_platforms_own_and_to_the_operator(place):
    path = f"/v1/status-lists/{place.platform.profile.organisation_id}"
    url = place.server.url
    for session, status in (
        (place.platform, 200),
        (place.operator, 200),
        (place.rival, 404),
        (place.sme, 403),
    ):
        for more in ("", f"/events?nonce={'n' * 22}&seconds=0"):
            headers = {"Authorization": f"Bearer {session.token()}"}
            assert httpx.get(url + path + more, headers=headers).status_code == status
    narrow = {"Authorization": f"Bearer {place.platform.token('catalog')}"}
    assert httpx.get(url + path, headers=narrow).json()["type"].endswith("scope_missing")
    nobody = place.operator.get("/v1/me")["organisation"]["id"]
    headers = {"Authorization": f"Bearer {place.operator.token()}"}
    assert httpx.get(f"{url}/v1/status-lists/{nobody}", headers=headers).status_code == 404


@pytest.mark.postgres
async def test_two_workers_tell_the_same(tmp_path):
    """Gateways on either worker, revocations on either: each hears of each."""
    database = OwnDatabase("postgres", tmp_path / "state")
    with ExchangeServer(database.state, database_url=database.url, workers="2") as server:
        place = Place(server)
        async with AsyncExitStack() as stack:
            gateways = [
                await stack.enter_async_context(http_gateway(place.platform.profile))
                for _ in range(4)
            ]
            for _ in range(2):
                grant = ask(place.sme, place.offering)["grant"]["id"]
                token = place.sme.token(f"grant:{grant}")
                for gateway in gateways:
                    await until(gateway, grant, token, "ok")
                headers = {"Authorization": f"Bearer {place.platform.token()}"}
                answer = httpx.post(  # a connection of its own, to whichever worker takes it
                    f"{server.url}/v1/grants/{grant}/revoke", headers=headers, json={}
                )
                assert answer.status_code == 200
                for gateway in gateways:
                    await until(gateway, grant, token, "grant_revoked")
    database.remove()
