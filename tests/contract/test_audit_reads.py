"""What an auditor reads is written down before it is answered, or it is not answered."""

import asyncio
from dataclasses import replace

import pytest

from exchange.clock import now_ms
from exchange.formats import canonical
from tests.support.web import code, engagement, in_days, open_two_pairs, serve

LOG = "/v1/log/entries"
LEAF = "exchange.audit.read.v1"


@pytest.fixture
async def web(database):
    async with serve(database) as web:
        yield web


@pytest.fixture
async def world(web):
    world, _ = await open_two_pairs(web)
    world.auditor = await world.join("auditor")
    return world


def rows(database, what="kind"):
    return [row[0] for row in database.sql(f"SELECT {what} FROM audit_reads ORDER BY at_ms, id")]


async def leaves(web):
    return [leaf for leaf in await web.parts.ledger.leaves(0, 10_000) if leaf.type == LEAF]


async def test_each_read_is_a_row_that_says_what_was_asked(database, web, world):
    grant = (await world.ask()).grant
    asked = [
        ("log_entries", LOG, {"organisation": world.sme.org_id, "limit": "3", "order": "newest"}),
        ("log_export", "/v1/log/export", {"format": "csv", "kind": "grant.activated.v1"}),
        ("log_tile_entries", "/log/tile/entries/000.p/2", {}),
        ("grants", "/v1/grants", {"status": "active"}),
        ("grants", f"/v1/grants/{grant.id}", {}),
        ("access_requests", "/v1/access-requests", {}),
        ("access_requests_steps", f"/v1/access-requests/{grant.request_id}/steps", {}),
        ("holds", "/v1/holds", {"open": "true"}),
        ("receipts", f"/v1/receipts/{grant.event_id}", {}),
        ("organisations", "/v1/organisations", {}),
        ("organisations_members", f"/v1/organisations/{world.sme.org_id}/members", {}),
        ("offerings", "/v1/offerings", {"q": "航班"}),
    ]
    for _, path, params in asked:
        assert (await web.get(world.auditor, path, **params)).status_code == 200, path
    shown = (await web.items(world.operator, "/v1/log/reads"))[::-1]
    assert [each["kind"] for each in shown] == [kind for kind, *_ in asked]
    for (_, path, params), read in zip(asked, shown, strict=True):
        in_path = {name: v for name, v in read["filters"].items() if name not in params}
        assert read["filters"] == {**in_path, **params}
        assert all(value in path for value in in_path.values())
        assert read["client_id"] == world.auditor.client_id
        assert read["auditor_id"] == world.auditor.org_id
        assert read["engagements"] == [world.auditor.engagements[0][0]]
    named = [next(iter(each["filters"].values()), None) for each in shown]
    assert {"000.p/2", grant.id, grant.request_id, grant.event_id, world.sme.org_id} <= set(named)


async def test_of_a_client_and_kind_there_is_one_leaf_in_a_quarter_of_an_hour(database, web, world):
    for path in (LOG, LOG, "/v1/grants", LOG, "/v1/grants"):
        assert (await web.get(world.auditor, path)).status_code == 200
    made = await leaves(web)
    told = [canonical.decode(leaf.entry)["data"] for leaf in made]
    assert [each["kind"] for each in told] == ["log_entries", "grants"]
    assert [leaf.consumer_id for leaf in made] == [world.auditor.org_id] * 2
    linked = dict(database.sql("SELECT event_id, id FROM audit_reads WHERE event_id IS NOT NULL"))
    assert linked == {leaf.event_id: each["read_id"] for leaf, each in zip(made, told, strict=True)}
    assert len(rows(database)) == 5

    second = await world.client(world.auditor.org_id)
    await web.get(replace(world.auditor, client_id=second.id), LOG)
    assert len(await leaves(web)) == 3

    web.app.state.record_read._leaf_until.clear()  # as after a start, or on another worker
    await web.get(world.auditor, LOG)
    assert len(await leaves(web)) == 3
    database.sql("UPDATE once_keys SET expires_ms = 1 WHERE key LIKE 'audit.read:%'")
    later = now_ms() + 15 * 60_000 + 1000
    web.app.state.record_read._clock = lambda: later
    for _ in range(2):
        assert (await web.get(world.auditor, LOG)).status_code == 200
    assert len(await leaves(web)) == 4
    assert len(rows(database)) == 9


async def test_nothing_is_answered_before_it_is_written_down(database, web, world):
    await web.token(world.auditor)
    with database.log_held():
        reading = asyncio.create_task(web.get(world.auditor, LOG))
        await asyncio.sleep(0.5)
        assert not reading.done()
        assert rows(database) == []
    assert (await reading).status_code == 200
    assert rows(database) == ["log_entries"]


async def test_what_cannot_be_written_down_is_not_read(database, web, world):
    """The log takes no entries: no answer but 503, and nothing in it. Parties go on reading."""
    granted = (await world.ask()).grant
    for who in (world.auditor, world.sme, world.operator):
        await web.token(who)
    await asyncio.to_thread(web.parts.ledger._writer.close)
    for path in (
        *(LOG, "/v1/log/export", "/log/tile/entries/000.p/2", "/v1/organisations"),
        *("/v1/grants", f"/v1/grants/{granted.id}", f"/v1/receipts/{granted.event_id}"),
    ):
        answer = await web.get(world.auditor, path)
        assert code(answer) == (503, "log_unavailable"), path
        assert "retry-after" in answer.headers
        assert granted.id not in answer.text
    assert rows(database) == []
    assert (await web.get(world.sme, f"/v1/grants/{granted.id}")).status_code == 200
    assert (await web.get(world.operator, LOG)).status_code == 200


async def test_nobody_else_pays_for_it(database, web, world):
    """Neither parties nor the operator nor an auditor without an engagement write anything."""
    idle = await world.join("auditor", engaged=False)
    grant = (await world.ask()).grant
    for who in (world.sme, world.platform, world.operator, idle):
        await web.token(who)
    size = await web.parts.ledger.size()
    for who in (world.sme, world.platform, world.operator):
        for path in ("/v1/grants", f"/v1/grants/{grant.id}", "/v1/offerings", "/v1/holds"):
            assert (await web.get(who, path)).status_code == 200
    assert (await web.get(world.operator, LOG)).status_code == 200
    assert (await web.get(idle, "/v1/grants")).json()["items"] == []
    for path in ("/v1/me", "/v1/webhooks", "/v1/engagements", "/v1/log/reads"):
        assert (await web.get(world.auditor, path)).status_code == 200
    assert rows(database) == []
    assert await web.parts.ledger.size() == size


async def test_reads_are_listed_by_auditor_and_time(database, web, world):
    other = await world.join("auditor")
    for who in (world.auditor, other, world.auditor):
        await web.get(who, LOG)
    list_of = lambda caller, **params: web.items(caller, "/v1/log/reads", **params)  # noqa: E731
    everything = await list_of(world.operator)
    assert [each["auditor_id"] for each in everything] == [
        world.auditor.org_id,
        other.org_id,
        world.auditor.org_id,
    ]
    assert await list_of(other) == [everything[1]]
    assert await list_of(other, auditor=world.auditor.org_id) == []
    assert await list_of(world.operator, auditor=other.org_id) == [everything[1]]
    middle = everything[1]["at"]
    assert await list_of(world.operator, since=middle) == everything[:2]
    assert await list_of(world.operator, until=middle) == everything[2:]
    assert await list_of(world.operator, since=in_days(1)) == []
    assert code(await web.get(world.sme, "/v1/log/reads")) == (403, "role_missing")
    assert code(await web.get(other, "/v1/log/reads", since="now")) == (422, "input_invalid")


async def test_what_a_route_does_not_know_is_not_kept(database, web, world):
    """A token that is sent at the wrong place is a secret still; nor does a long text fill rows."""
    secret = await web.token(world.auditor)
    await web.get(world.auditor, LOG, access_token=secret, kind="grant.activated.v1")
    refused = await web.get(world.auditor, LOG, kind="x" * 1000, reason="a\x00b\n")
    assert code(refused) == (422, "input_invalid")
    assert (await web.get(world.auditor, f"/v1/receipts/{'e' * 3000}")).status_code == 422
    kept = [str(each) for each in rows(database, "filters")]
    assert len(kept) == 3
    assert all("eyJ" not in each and "access_token" not in each for each in kept)
    assert all(len(each) < 600 for each in kept)


async def test_one_commit_covers_engagements_that_change_meanwhile(web, world):
    """A read and the end of what it rests on, at once: seen under it, or refused; never a 5xx."""
    for _ in range(4):
        made = await web.send(
            world.operator, "POST", "/v1/engagements", json=engagement(world.auditor)
        )
        path = f"/v1/engagements/{made.json()['id']}/end"
        ended, *read = await asyncio.gather(
            web.send(world.operator, "POST", path),
            *(web.get(world.auditor, LOG) for _ in range(4)),
        )
        assert ended.status_code == 200
        assert {answer.status_code for answer in read} <= {200, 403}
