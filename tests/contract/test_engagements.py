"""Engagements on both databases: opened, ended, over by the clock; an auditor sees what they cover.

Everything goes through the application's own routes.
"""

import pytest

from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from exchange.participants.end_engagement import end_engagements
from tests.support.ledgers import OwnDatabase
from tests.support.web import code, engagement, in_days, open_two_pairs, serve

LOG = "/v1/log/entries"
NO_ENGAGEMENT = (403, "engagement_missing")
PLACES = [
    pytest.param(("sqlite", 1), id="sqlite", marks=pytest.mark.sqlite),
    pytest.param(("postgres", 1), id="postgres", marks=pytest.mark.postgres),
    pytest.param(("postgres", 2), id="two workers", marks=pytest.mark.postgres),
]


@pytest.fixture
async def web(database):
    async with serve(database) as web:
        yield web


async def idle_auditor(web):
    """A world, and an auditor of its exchange whom nobody has engaged yet."""
    world, other = await open_two_pairs(web)
    return world, other, await world.join("auditor", engaged=False)


async def engage(web, world, auditor, *named, **changes):
    body = engagement(auditor, *named, **changes)
    answer = await web.send(world.operator, "POST", "/v1/engagements", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def leaves(web, kind):
    held = await web.parts.ledger.leaves(0, 10_000)
    return [leaf for leaf in held if leaf.type == f"exchange.{kind}"]


async def test_one_is_opened_shown_and_given_up(database, web):
    world, _, auditor = await idle_auditor(web)
    stranger = await world.join("auditor", engaged=False)
    made = await engage(web, world, auditor, world.sme.org_id)
    assert (made["status"], made["organisations"]) == ("active", [world.sme.org_id])
    verifier = Verifier.parse(web.parts.ledger.verifier_key)
    [opened] = await leaves(web, "engagement.opened.v1")
    proved = receipts.verify(receipts.parse(made["receipt"]), verifier)
    assert (proved.index, opened.event_id) == (opened.index, made["event_id"])
    for text in (b"Yearly", "年度".encode(), rb"\u5e74"):
        assert text not in opened.entry

    path = f"/v1/engagements/{made['id']}"
    shown = (await web.get(auditor, path)).json()
    assert shown == {**made, "receipt": None}
    assert await web.items(auditor, "/v1/engagements") == [shown]
    assert await web.items(world.operator, "/v1/engagements", auditor=auditor.org_id) == [shown]
    assert await web.items(world.operator, "/v1/engagements", active=False) == []
    assert await web.items(stranger, "/v1/engagements") == []
    for who in (stranger, world.sme):
        assert code(await web.get(who, path)) == (404, "engagement_unknown")
        assert code(await web.send(who, "POST", path + "/end")) == (404, "engagement_unknown")
    assert await leaves(web, "engagement.ended.v1") == []

    ended = (await web.send(auditor, "POST", path + "/end")).json()
    assert (ended["status"], ended["ended_by"]) == ("ended", "auditor")
    assert receipts.verify(receipts.parse(ended["receipt"]), verifier)
    again = (await web.send(world.operator, "POST", path + "/end")).json()
    assert again == {**ended, "receipt": None}
    assert len(await leaves(web, "engagement.ended.v1")) == 1
    assert await web.items(auditor, "/v1/engagements", active=True) == []
    assert await web.items(auditor, "/v1/engagements", active=False) == [again]


async def test_the_same_key_opens_one(web):
    world, _, auditor = await idle_auditor(web)
    body, headers = engagement(auditor), {"Idempotency-Key": "one"}
    made = [
        await web.send(world.operator, "POST", "/v1/engagements", json=body, headers=headers)
        for _ in range(2)
    ]
    assert [each.status_code for each in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"]
    assert len(await leaves(web, "engagement.opened.v1")) == 1
    other = body | {"purpose": "Another"}
    reused = await web.send(world.operator, "POST", "/v1/engagements", json=other, headers=headers)
    assert code(reused) == (422, "idempotency_key_reused")


async def test_what_is_no_engagement_is_refused(web):
    world, _, auditor = await idle_auditor(web)
    sme = world.sme.org_id
    unknown = "org_" + "0" * 26
    for refused, body in {
        (422, "end_passed"): engagement(auditor, ends_at=in_days(-1)),
        (422, "end_too_far"): engagement(auditor, ends_at=in_days(367)),
        (422, "time_unknown"): engagement(auditor, ends_at="2026-02-30T00:00:00Z"),
        (422, "no_auditor"): engagement(world.platform),
        (404, "organisation_unknown"): engagement(auditor, unknown),
    }.items():
        answer = await web.send(world.operator, "POST", "/v1/engagements", json=body)
        assert code(answer) == refused
    for body in (
        engagement(auditor, sme, sme),
        engagement(auditor, sme, scope="whole"),
        engagement(auditor, scope="named"),
        engagement(auditor, *(f"org_{n:026}" for n in range(51))),
        engagement(auditor, ends_at="tomorrow"),
        engagement(auditor, purpose=""),
        engagement(auditor, purpose="two\nlines"),
    ):
        answer = await web.send(world.operator, "POST", "/v1/engagements", json=body)
        assert code(answer) == (422, "input_invalid")
    assert await leaves(web, "engagement.opened.v1") == []


async def test_an_auditor_nobody_engaged_is_told_so(web):
    """And sees its own affairs, as everybody does."""
    world, _, auditor = await idle_auditor(web)
    granted = await world.ask()
    for path in (LOG, "/v1/log/export", "/log/tile/entries/000.p/1"):
        answer = await web.get(auditor, path)
        assert code(answer) == NO_ENGAGEMENT
        assert "operator" in answer.json()["hint"]
    assert await web.items(auditor, "/v1/grants") == []
    [own] = await web.items(auditor, "/v1/organisations")
    assert own["id"] == auditor.org_id
    assert (await web.get(auditor, f"/v1/grants/{granted.grant.id}")).status_code == 404
    assert (await web.get(auditor, "/v1/me")).json()["sight"] == []
    await engage(web, world, auditor)
    assert (await web.get(auditor, LOG)).status_code == 200
    assert (await web.get(auditor, "/v1/me")).json()["sight"] == "all"


async def test_the_clock_ends_one_at_once_and_its_leaf_follows(database, web):
    world, _, auditor = await idle_auditor(web)
    made = await engage(web, world, auditor, ends_at=in_days(100 / 86_400))
    assert (await web.get(auditor, LOG)).status_code == 200
    web.set_clock(99_000 - 2000)  # its end is written in whole seconds
    assert (await web.get(auditor, LOG)).status_code == 200
    web.set_clock(100_001)
    assert code(await web.get(auditor, LOG)) == NO_ENGAGEMENT  # the token lives on
    assert await leaves(web, "engagement.ended.v1") == []
    store, path = web.parts.engagements, f"/v1/engagements/{made['id']}"
    assert await end_engagements(store) == 0
    database.sql("UPDATE engagements SET ends_ms = 1000")
    for leaves_written in (0, 1):
        shown = (await web.get(auditor, path)).json()
        assert (shown["status"], shown["ended_by"]) == ("ended", "clock")
        assert shown["ended_at"] == "1970-01-01T00:00:01.000Z"
        assert len(await leaves(web, "engagement.ended.v1")) == leaves_written
        await end_engagements(store)
    assert await end_engagements(store) == 0


@pytest.mark.parametrize("place", PLACES)
async def test_one_that_was_ended_shows_nothing_more_while_its_token_lives(place, tmp_path):
    """Not on a worker either that has not heard of it: its follower of the log stands still."""
    database = OwnDatabase(place[0], tmp_path / "state")
    try:
        async with serve(database) as web:
            if place[1] == 1:
                await _ended_at_once(web, web)
            else:
                async with serve(database) as other:
                    next(t for t in other.parts.tasks if t.get_name() == "caches").cancel()
                    await _ended_at_once(web, other)
    finally:
        database.remove()


async def _ended_at_once(web, other):
    world, _, auditor = await idle_auditor(web)
    grant = (await world.ask()).grant.id
    first, second = [await engage(web, world, auditor, *named) for named in ((), (grant_of(world)))]
    paths = (LOG, "/v1/log/export", "/log/tile/entries/000.p/1", f"/v1/grants/{grant}")
    for path in paths:
        assert (await other.get(auditor, path)).status_code == 200
    await web.send(world.operator, "POST", f"/v1/engagements/{first['id']}/end")
    assert code(await other.get(auditor, paths[2])) == (403, "engagement_too_narrow")
    assert (await other.get(auditor, f"/v1/grants/{grant}")).status_code == 200
    await web.send(auditor, "POST", f"/v1/engagements/{second['id']}/end")
    assert code(await other.get(auditor, f"/v1/grants/{grant}")) == (404, "grant_unknown")
    for path in paths[:3]:
        assert code(await other.get(auditor, path)) == NO_ENGAGEMENT


def grant_of(world):
    return (world.sme.org_id,)


# ---- sight -------------------------------------------------------------------------------------


async def test_an_auditor_of_one_sees_nothing_between_two_others(web):
    """By no list, no search, no export, no id; and everything of what it was engaged for."""
    a, b = await open_two_pairs(web)
    auditor = await a.join("auditor", engaged=False)
    await engage(web, a, auditor, a.sme.org_id)
    for world in (a, b):
        world.answer = await world.ask()
        world.refused = await world.ask(purpose="credit_scoring")
        world.hold = await world.suspend(world.answer.grant.id, world.platform, "unpaid")
    for path in ("/v1/grants", "/v1/access-requests", "/v1/holds"):
        found = await web.items(auditor, path)
        assert found
        assert {each["consumer_id"] for each in found} == {a.sme.org_id}, path
    assert {o["id"] for o in await web.items(auditor, "/v1/organisations")} == {
        auditor.org_id,
        a.sme.org_id,
    }
    assert (await web.get(auditor, "/v1/me")).json()["sight"] == [a.sme.org_id]

    for world, status in ((a, 200), (b, 404)):
        request = world.answer.request_id
        for path in (
            f"/v1/grants/{world.answer.grant.id}",
            f"/v1/access-requests/{request}",
            f"/v1/access-requests/{request}/steps",
            f"/v1/holds/{world.hold.id}",
            f"/v1/receipts/{world.answer.event_id}",
            f"/v1/receipts/{world.refused.event_id}",
        ):
            assert (await web.get(auditor, path)).status_code == status, path
        organisation = f"/v1/organisations/{world.sme.org_id}"
        expected = 200 if world is a else 403
        for path in (organisation, organisation + "/clients", organisation + "/members"):
            assert (await web.get(auditor, path)).status_code == expected, path
    assert code(await web.get(auditor, "/log/tile/entries/000.p/5")) == (
        403,
        "engagement_too_narrow",
    )
    assert (await web.get(auditor, "/log/tile/0/000.p/5")).status_code == 200


async def test_the_log_shows_an_auditor_the_entries_of_those_it_is_engaged_for(web):
    a, b = await open_two_pairs(web)
    auditor = await a.join("auditor", engaged=False)
    answers = [await world.ask() for world in (a, b)]
    for world, answer in zip((a, b), answers, strict=True):
        await world.ask(purpose="credit_scoring")
        await world.revoke(answer.grant.id)
    both = await engage(web, a, auditor, a.sme.org_id)
    await engage(web, a, auditor, b.platform.org_id)
    filters = [
        {},
        {"order": "newest"},
        {"start": 7},
        {"since": in_days(-1)},
        {"until": in_days(1)},
        {"kind": "grant.activated.v1"},
        {"reason": "other"},
        *({"organisation": w.sme.org_id} for w in (a, b)),
        *({"organisation": w.platform.org_id} for w in (a, b)),
        {"organisation": a.operator.org_id},
        *({"offering": w.offering.id} for w in (a, b)),
        *({"grant": answer.grant.id} for answer in answers),
        *({"request": answer.request_id} for answer in answers),
    ]
    engaged = {a.sme.org_id, b.platform.org_id}
    for _ in range(2):
        await web.get(auditor, LOG)  # what its reading adds to the log is there from now on
        await web.get(auditor, "/v1/log/export")
        mine, met = engaged | {auditor.org_id}, 0
        for wanted in filters:
            everything = await web.items(a.operator, LOG, **wanted)
            expected = [e for e in everything if {e["consumer_id"], e["provider_id"]} & mine]
            met += 0 < len(expected) < len(everything)
            assert await web.items(auditor, LOG, **wanted) == expected, wanted
            exported = await web.get(auditor, "/v1/log/export", **wanted)
            ids = [e["event_id"] for e in expected]
            assert [line.split('"id":"')[1][:35] for line in exported.text.splitlines()] == [
                each[:35] for each in ids
            ], wanted
        assert met >= 6
        if engaged == {b.platform.org_id}:
            return
        await web.send(a.operator, "POST", f"/v1/engagements/{both['id']}/end")
        engaged = {b.platform.org_id}
