"""Attacks that have a state, against two workers on PostgreSQL: what one met the other knows."""

import asyncio
import contextlib

import pytest

from tests.support.desk import KEY, open_world
from tests.support.judge import judge
from tests.support.ledgers import OwnDatabase
from tests.support.token_requests import Program
from tests.support.web import serve

pytestmark = pytest.mark.postgres


@pytest.fixture
async def pair(tmp_path):
    """Two workers, and the SME's program at each: one key, one DPoP key, one nonce."""
    database = OwnDatabase("postgres", tmp_path / "state")
    async with contextlib.AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(serve(database)) for _ in range(2)]
        world = await open_world(workers[0].parts)
        issuer = workers[0].parts.settings.issuer_url
        programs = [Program(each.http, issuer, world.sme.client_id, KEY) for each in workers]
        await programs[0].ask(scope="catalog")
        programs[1].nonce, programs[1].prover = programs[0].nonce, programs[0].prover
        yield database, workers, world, programs
    database.remove()


def answered(answers):
    return sorted(answer.status_code for answer in answers)


async def test_an_assertion_is_good_once_on_all_workers(pair):
    _, _, _, programs = pair
    for _ in range(5):
        form = programs[0].form()
        answers = await asyncio.gather(*(p.send(form) for p in programs for _ in range(8)))
        assert answered(answers) == [200] + [400] * 15
        assert {a.json()["error"] for a in answers if a.status_code == 400} == {"invalid_client"}


async def test_a_proof_is_good_once_on_all_workers(pair):
    """At the token endpoint, at the gateway, and at a route that writes."""
    database, workers, world, programs = pair
    for _ in range(3):
        proof = programs[0].proof()
        asked = [p.send(p.form(), proof) for p in programs for _ in range(4)]
        answers = await asyncio.gather(*asked)
        assert answered(answers) == [200] + [400] * 7
    grant = await world.ask()
    scope = f"grant:{grant.grant.id}"
    token = (await programs[0].ask(scope=scope)).json()["access_token"]
    path = f"/gateway/grants/{grant.grant.id}/files/data.bin"
    shown = programs[0].shows(token, "GET", path)
    fetched = [w.http.get(path, headers=shown) for w in workers for _ in range(4)]
    answers = await asyncio.gather(*fetched)
    assert answered(answers) == [200] + [401] * 7
    assert all("dpop_replayed" in a.text for a in answers if a.status_code == 401)
    api = (await programs[0].ask()).json()["access_token"]
    path = f"/v1/organisations/{world.sme.org_id}/attributes/headcount"
    shown = programs[0].shows(api, "PUT", path)
    body = {"value": 77}
    put = [w.http.put(path, headers=shown, json=body) for w in workers for _ in range(4)]
    assert answered(await asyncio.gather(*put)) == [200] + [401] * 7
    judge(database.sql)


async def test_a_token_that_was_revoked_is_refused_on_both(pair):
    _, workers, _, programs = pair
    token = (await programs[0].ask(bound=False)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    for worker in workers:
        assert (await worker.http.get("/v1/me", headers=headers)).status_code == 200
    form = {**programs[0].form(), "token": token}
    assert (await workers[0].http.post("/oauth/revoke", data=form)).status_code == 200
    assert (await workers[0].http.get("/v1/me", headers=headers)).status_code == 401
    while (await workers[1].http.get("/v1/me", headers=headers)).status_code == 200:
        await asyncio.sleep(0.05)  # it follows the log
    assert (await workers[1].http.get("/v1/me", headers=headers)).status_code == 401


async def test_a_request_for_access_at_both_at_once_is_one_grant(pair):
    database, _, world, programs = pair
    detail = {"type": "dataset", "offering": world.offering.id, "purpose": "logistics_planning"}
    asked = [p.ask(authorization_details=[detail]) for p in programs for _ in range(8)]
    told = [answer.json() for answer in await asyncio.gather(*asked)]
    assert len({each.get("grant_id", str(each)) for each in told}) == 1
    assert judge(database.sql).count("grant.activated.v1") == 1


async def test_what_a_worker_remembers_of_a_grant_is_no_yes(pair):
    """One worker revokes and holds; the other, which has all of it in memory, gives no token."""
    database, _, world, programs = pair
    detail = {"type": "dataset", "offering": world.offering.id, "purpose": "logistics_planning"}
    first = (await programs[1].ask(authorization_details=[detail])).json()
    by_id = {"type": "dataset", "grant_id": first["grant_id"]}

    async def told_by_other():
        return [(await programs[1].ask(authorization_details=[d])).json() for d in (detail, by_id)]

    assert all("access_token" in told for told in await told_by_other())
    for target in (first["grant_id"], world.sme.org_id, world.platform.org_id, world.offering.id):
        hold = await world.suspend(target)
        assert [told.get("error") for told in await told_by_other()] == ["access_denied"] * 2
        await world.lift(hold.id)
        assert all("access_token" in told for told in await told_by_other())
    await world.revoke(first["grant_id"])
    assert [told.get("error") for told in await told_by_other()] == ["access_denied"] * 2
    assert judge(database.sql).count("grant.activated.v1") == 1
