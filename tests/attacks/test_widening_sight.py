"""An auditor tries to see more than it is engaged for, in every way that its token opens."""

import asyncio
from dataclasses import replace

import pytest

from exchange.catalog.publish_offering import draft_offering
from exchange.participants.register_client import register_client
from exchange.participants.register_organisation import register_organisation
from tests.support.desk import ATTRIBUTES, JWKS
from tests.support.web import code, engagement, open_two_pairs, serve

LOG = "/v1/log/entries"


@pytest.fixture
async def web(database):
    async with serve(database) as web:
        yield web


@pytest.fixture
async def pairs(web):
    return await open_two_pairs(web)


@pytest.fixture
async def auditor(web, pairs):
    """Engaged for the first pair's SME only."""
    made = await pairs[0].join("auditor", engaged=False)
    await pairs[0].engage(made.org_id, pairs[0].sme.org_id)
    return made


async def all_of(web, world, roles):
    """An organisation that is an auditor and something else too, engaged for `world`'s SME."""
    parts = web.parts
    made = await register_organisation(
        parts.ledger,
        parts.participants,
        world.operator,
        name_en="b",
        name_zh="b",
        roles=frozenset(roles),
        attributes=ATTRIBUTES,
    )
    client = await register_client(
        parts.ledger, parts.participants, world.operator, made.id, name="a", jwks=JWKS
    )
    return replace(world.sme, client_id=client.id, org_id=made.id, roles=frozenset(roles))


async def test_by_engaging_itself(web, pairs, auditor):
    for who in (auditor, pairs[0].platform, pairs[0].sme):
        answer = await web.send(who, "POST", "/v1/engagements", json=engagement(auditor))
        assert answer.status_code == 403
    assert (await web.get(auditor, "/v1/me")).json()["sight"] == [pairs[0].sme.org_id]


async def test_by_ending_or_reading_the_engagement_of_another(web, pairs, auditor):
    other = await pairs[0].join("auditor")
    [held] = await web.items(other, "/v1/engagements")
    path = f"/v1/engagements/{held['id']}"
    for method, at in (("GET", path), ("POST", path + "/end")):
        assert code(await web.send(auditor, method, at)) == (404, "engagement_unknown")
    assert await web.items(auditor, "/v1/engagements", auditor=other.org_id) == []
    assert await web.items(auditor, "/v1/log/reads", auditor=other.org_id) == []
    assert await web.items(other, "/v1/engagements", active=True) == [held]


async def test_by_the_cursor_of_one_who_sees_more(web, pairs, auditor):
    for world in pairs:
        await world.ask()
        await world.ask(purpose="scientific_research")
    foreign = pairs[1].sme.org_id
    for path in (LOG, "/v1/grants", "/v1/access-requests", "/v1/organisations"):
        page = (await web.get(pairs[0].operator, path, limit=1)).json()
        while page["next"]:
            mine = await web.get(auditor, path, cursor=page["next"])
            assert foreign not in mine.text
            page = (await web.get(pairs[0].operator, path, limit=1, cursor=page["next"])).json()


async def test_by_naming_the_other_in_every_filter(web, pairs, auditor):
    """Nor does it learn from an empty answer whether there was something."""
    answer = await pairs[1].ask()
    for wanted in (
        {"organisation": pairs[1].sme.org_id},
        {"organisation": pairs[1].platform.org_id},
        {"offering": pairs[1].offering.id},
        {"grant": answer.grant.id},
        {"request": answer.request_id},
    ):
        assert await web.items(auditor, LOG, **wanted) == []
        assert (await web.get(auditor, "/v1/log/export", **wanted)).content == b""
    assert await web.items(auditor, "/v1/grants", offering_id=pairs[1].offering.id) == []
    assert await web.items(auditor, "/v1/holds", target=answer.grant.id) == []


async def test_by_an_entry_between_others_that_names_whom_it_audits(web, pairs, auditor):
    """Another auditor's engagement names the SME: no affair of the SME's."""
    other = await pairs[0].join("auditor", engaged=False)
    made = await pairs[0].engage(other.org_id, pairs[0].sme.org_id)
    named = {"organisation": pairs[0].sme.org_id, "kind": "engagement.opened.v1"}
    everything = await web.items(pairs[0].operator, LOG, **named)
    mine = await web.items(auditor, LOG, **named)
    assert len(everything) == 2
    assert [each["consumer_id"] for each in mine] == [auditor.org_id]
    assert (await web.get(auditor, f"/v1/receipts/{made.event_id}")).status_code == 404


async def test_by_a_bundle_a_level_or_an_odd_path(web, auditor):
    for path in ("000.p/1", "000", "x001/000", "../entries/000.p/1", "%2e%2e/entries/000.p/1"):
        answer = await web.get(auditor, f"/log/tile/entries/{path}")
        assert answer.status_code in (403, 404), path
        assert b"specversion" not in answer.content
    for path in ("/log/tile/entries", "/log//tile/entries/000.p/1", "/log/tile//entries/000.p/1"):
        answer = await web.get(auditor, path)
        assert b"specversion" not in answer.content


async def test_by_head_or_another_method(web, pairs, auditor):
    granted = (await pairs[1].ask()).grant
    for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST"):
        for path in (LOG, "/v1/log/export", f"/v1/grants/{granted.id}"):
            answer = await web.send(auditor, method, path)
            assert answer.status_code == 405, (method, path)


async def test_by_being_a_platform_too(web, pairs):
    """What it may read by an engagement it may not touch: to its writes it is not there."""
    both = await all_of(web, pairs[0], ["auditor", "platform"])
    await pairs[0].engage(both.org_id, pairs[0].sme.org_id)
    granted = await pairs[0].ask()
    grant = f"/v1/grants/{granted.grant.id}"
    assert (await web.get(both, grant)).status_code == 200
    revoked = await web.send(both, "POST", grant + "/revoke", json={"reason": "other"})
    assert code(revoked) == (404, "grant_unknown")
    held = await web.send(both, "POST", "/v1/holds", json={"target": granted.grant.id})
    assert held.status_code == 404
    comment = f"/v1/access-requests/{granted.request_id}/comment"
    said = await web.send(both, "POST", comment, json={"text": "I was here."})
    assert code(said) == (404, "request_unknown")


async def test_by_asking_for_what_only_named_ones_may_ask_for(web, pairs):
    """An SME that audits a platform sees its private offerings, and may not ask for them."""
    world = pairs[0]
    both = await all_of(web, world, ["auditor", "sme"])
    await world.engage(both.org_id, world.platform.org_id)
    private = await world.publish(audience=(world.sme.org_id,))
    assert (await web.get(both, f"/v1/offerings/{private.id}")).status_code == 200
    body = {"offering_id": private.id, "purpose": "logistics_planning", "days": 3}
    for path in ("/v1/access-requests", "/v1/policy/explain"):
        assert (await web.send(both, "POST", path, json=body)).status_code == 404
    assert (await web.send(world.sme, "POST", "/v1/access-requests", json=body)).status_code == 201


async def test_by_the_catalog(web, pairs, auditor):
    parts = web.parts
    draft = await draft_offering(
        parts.ledger, parts.catalog, pairs[1].platform, pairs[1].offering.terms
    )
    private = await pairs[1].publish(audience=(pairs[1].sme.org_id,))
    for offering in (draft, private):
        for what in ("", "/versions", "/dcat"):
            answer = await web.get(auditor, f"/v1/offerings/{offering.id}{what}")
            assert answer.status_code == 404, what
    known = await web.items(auditor, "/v1/offerings")
    assert {draft.id, private.id}.isdisjoint(each["id"] for each in known)
    assert all(each["source"] is None for each in known)


async def test_by_a_webhook_that_begins_at_the_first_leaf(web, pairs, auditor):
    """What is posted to it is what it is a party of, whatever it is engaged for."""
    size = await web.parts.ledger.size()
    sent, at = [], 0
    while at < size:
        at, found = await web.parts.webhooks.next_leaf(auditor.org_id, (), at, 1000)
        if found:
            sent.append(found[1])
            at = found[0] + 1
    assert len(sent) == 3  # registered, its client, engaged
    assert all(auditor.org_id.encode() in each for each in sent)


async def test_by_a_role_that_is_gone_or_a_suspension(database, web, pairs, auditor):
    assert (await web.get(auditor, LOG)).status_code == 200
    hold = await pairs[0].suspend(auditor.org_id)
    assert code(await web.get(auditor, LOG)) == (403, "organisation_suspended")
    assert await web.items(auditor, "/v1/grants") == []
    await pairs[0].lift(hold.id)
    assert (await web.get(auditor, LOG)).status_code == 200
    database.sql("UPDATE organisations SET roles = '[\"sme\"]' WHERE id = ?", auditor.org_id)
    web.parts.participants.drop([auditor.org_id])
    assert code(await web.get(auditor, LOG)) == (403, "role_missing")
    assert (await web.get(auditor, "/v1/me")).json()["sight"] == []


async def test_by_a_person_who_does_not_oversee(web, pairs, auditor):
    """Of its people its owners and auditors see what it is engaged for, and are told so."""
    granted = (await pairs[0].ask()).grant
    for role, sees in (("developer", False), ("publisher", False), ("auditor", True)):
        person = await pairs[0].member(auditor.org_id, role)
        answer = await web.get(person, f"/v1/grants/{granted.id}")
        assert answer.status_code == (200 if sees else 404)
        told = (await web.get(person, "/v1/me")).json()["sight"]
        assert told == ([pairs[0].sme.org_id] if sees else [])
    [read] = await web.items(auditor, "/v1/log/reads")
    assert read["member_id"] == person.member_id


async def test_by_many_reads_at_once_when_it_ends(web, pairs, auditor):
    """After the answer to the end there is no further answer, whatever was under way."""
    [held] = await web.items(auditor, "/v1/engagements")
    granted = (await pairs[0].ask()).grant
    over = asyncio.Event()
    late = []

    async def reader():
        for _ in range(12):
            after_the_end = over.is_set()
            answer = await web.get(auditor, f"/v1/grants/{granted.id}")
            if after_the_end:
                late.append(answer.status_code)

    async def ender():
        await asyncio.sleep(0.05)
        path = f"/v1/engagements/{held['id']}/end"
        assert (await web.send(pairs[0].operator, "POST", path)).status_code == 200
        over.set()

    await asyncio.gather(ender(), *(reader() for _ in range(4)))
    late += [(await web.get(auditor, f"/v1/grants/{granted.id}")).status_code]
    assert set(late) == {404}
