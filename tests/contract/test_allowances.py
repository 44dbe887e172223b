"""What a grant's obligations count, on both databases: exact, given back, and said when used up."""

import asyncio
from dataclasses import replace

import pytest

from connectors.gateway.door import LEASE_SECONDS
from exchange.access.allowance import MINUTE_MS, UseOf
from exchange.access.forget_rates import forget_rates
from exchange.access.record_use import record_use
from exchange.access.renew_grant import renew_grant
from exchange.access.running import LEASE_MS, end_lost_uses, end_use, extend_use
from exchange.access.store import GRANTS, RUNNING
from exchange.clock import now_ms, rfc3339
from exchange.errors import Forbidden
from exchange.ledger.write import Update, Write
from tests.support.desk import open_world
from tests.support.judge import judge

FILE = UseOf("data.bin", "ab" * 32, "GET", 0, 99)
CALL = UseOf("GET /stats/delays", "cd" * 32, "GET", -1, -1)


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


async def granted(world, **limits):
    world.offering = await world.publish(limits=limits)
    grant = (await world.ask()).grant
    assert {name: grant.obligations[name] for name in limits} == limits
    return grant


async def use(world, grant, what=CALL):
    client = await world.parts.participants.client(grant.client_id)
    return await record_use(world.parts.desk, grant, client, what, 15)


async def refused(attempt):
    with pytest.raises(Forbidden) as caught:
        await attempt
    return caught.value


def counters(database):
    return dict(database.sql("SELECT key, value FROM counters"))


async def lapse(world, use_id):
    """Let a use's lease run out, as when its worker died."""
    query = RUNNING.select().where(RUNNING.c.id == use_id)
    row = await world.parts.db.read(lambda c: c.execute(query).one())
    update = Update(RUNNING, use_id, row.rev, {"until_ms": now_ms() - 1})
    await world.parts.ledger.commit(Write(updates=[update]))


async def test_calls_are_counted_one_by_one_and_never_one_too_many(database, world):
    grant = await granted(world, calls=7)
    tried = await asyncio.gather(*(use(world, grant) for _ in range(64)), return_exceptions=True)
    done = [each for each in tried if isinstance(each, str)]
    assert len(done) == len(set(done)) == 7
    codes = {each.code for each in tried if not isinstance(each, str)}
    assert codes == {"calls_exhausted"}
    assert counters(database) == {f"calls:{grant.id}": 7}
    assert database.sql("SELECT count(*) FROM uses") == [(7,)]
    judged = judge(database.sql)
    assert judged.count("delivery.opened.v1") == 1  # calls of a quarter of an hour are a session
    error = await refused(use(world, grant))
    assert (error.status_code, error.members["ceiling"], error.members["left"]) == (403, 7, 0)
    [remedy] = error.members["remedies"]
    params = {"grant_id": grant.id, "at": rfc3339(grant.ends_ms)}
    assert (remedy["code"], remedy["params"]) == ("renew_grant", params)
    assert f"exchange grant renew {grant.id}" in remedy["text"]
    assert f"exchange grant renew {grant.id}" in error.hint


async def renewed(world, grant, days):
    await renew_grant(world.parts.desk, world.sme, grant.id, days, {}, None)
    return await world.parts.store.grant(grant.id)


async def test_nobody_renews_a_quota_away(database, world):
    grant = await granted(world, calls=1)
    await use(world, grant)
    for days in (30, 31, 32):
        before, grant = grant, await renewed(world, grant, days)
        assert grant.ends_ms > before.ends_ms
        error = await refused(use(world, grant))
        assert error.code == "calls_exhausted"
    [remedy] = error.members["remedies"]
    assert remedy["code"] == "wait"
    assert remedy["params"]["at"] == rfc3339(grant.allowance_until_ms)
    assert counters(database) == {f"calls:{grant.id}": 1}

    # When the days that were granted first are over, the renewal's own allowance begins, once.
    over = Update(GRANTS, grant.id, grant.rev, {"allowance_until_ms": now_ms() - 1})
    await world.parts.ledger.commit(Write(updates=[over]))
    grant = await world.parts.store.grant(grant.id)
    await use(world, grant)
    assert (await refused(use(world, grant))).code == "calls_exhausted"
    later = await renewed(world, grant, 60)
    assert (await refused(use(world, later))).code == "calls_exhausted"
    assert counters(database) == {f"calls:{grant.id}": 1, f"calls:{grant.id}:3": 1}
    assert (later.allowance, later.allowance_until_ms) == (3, grant.ends_ms)


async def test_a_renewal_that_people_approve_brings_a_new_allowance_at_once(database, world):
    anna = await world.member(world.platform.org_id, "approver")
    world.offering = await world.publish(approval="provider", approvers=1, limits={"calls": 1})
    asked = await world.ask()
    grant = (await world.approve(asked.request_id, anna)).answer.grant
    await use(world, grant)
    error = await refused(use(world, grant))
    assert error.members["remedies"][0]["params"] == {"grant_id": grant.id}
    assert "approved" in error.hint
    waits = await world.renew(grant.id, 60)
    assert (await refused(use(world, grant))).code == "calls_exhausted"
    await world.approve(waits.request_id, anna)
    grant = await world.parts.store.grant(grant.id)
    await use(world, grant)
    assert (await refused(use(world, grant))).code == "calls_exhausted"
    assert counters(database) == {f"calls:{grant.id}": 1, f"calls:{grant.id}:1": 1}


async def test_files_spend_no_calls_and_both_the_rate(database, world):
    grant = await granted(world, calls_per_minute=1000, calls=1000)
    await use(world, grant, CALL)
    await use(world, grant, FILE)
    await use(world, grant, FILE)
    counted = {key.partition(":")[0]: value for key, value in counters(database).items()}
    assert counted == {"rate": 3, "calls": 1}


async def test_a_rate_is_of_a_minute_of_the_clock(database, world, monkeypatch):
    grant = await granted(world, calls_per_minute=2)
    noon = now_ms() // MINUTE_MS * MINUTE_MS
    for moment in (noon + 59_000, noon + 60_000):
        monkeypatch.setattr("exchange.access.record_use.now_ms", lambda m=moment: m)
        await use(world, grant)
        await use(world, grant)
        error = await refused(use(world, grant))
        assert (error.code, error.status_code) == ("rate_exceeded", 429)
        seconds = 60 - (moment - noon) // 1000 % 60 + 1
        assert error.headers == {"Retry-After": str(seconds)}
        [remedy] = error.members["remedies"]
        assert (remedy["code"], remedy["params"]) == ("wait", {"seconds": seconds})
        assert str(seconds) in remedy["text"]


async def test_counters_of_minutes_that_are_over_go(database, world, monkeypatch):
    grant = await granted(world, calls_per_minute=9, calls=9)
    noon = now_ms()
    for minutes in (5, 3, 2, 0):
        moment = noon - minutes * MINUTE_MS
        monkeypatch.setattr("exchange.access.record_use.now_ms", lambda m=moment: m)
        await use(world, grant)
    assert await forget_rates(world.parts.ledger) == 3
    assert await forget_rates(world.parts.ledger) == 0
    now = f"rate:{noon // MINUTE_MS:010d}:{grant.id}"
    assert counters(database) == {now: 1, f"calls:{grant.id}": 4}


async def test_bytes_are_reserved_and_what_was_not_sent_comes_back(database, world):
    grant = await granted(world, bytes=250)
    first, second = await use(world, grant, FILE), await use(world, grant, FILE)
    error = await refused(use(world, grant, FILE))
    assert (error.code, error.members["left"]) == ("bytes_exhausted", 50)
    assert error.members["remedies"][0]["code"] == "narrow_range"
    assert error.members["remedies"][0]["params"] == {"bytes": 50}
    await use(world, grant, replace(FILE, last_byte=49))
    await end_use(world.parts.store, first, 30, complete=False)
    assert counters(database) == {f"bytes:{grant.id}": 180}
    await end_use(world.parts.store, second, 100, complete=True)
    assert counters(database) == {f"bytes:{grant.id}": 180}
    assert database.sql("SELECT count(*) FROM running_uses") == [(1,)]


async def test_a_call_reserves_its_bytes_as_they_come(database, world):
    grant = await granted(world, bytes=100)
    call = await use(world, grant)
    await extend_use(world.parts.store, call, 59)  # with the one that it began with 60
    error = await refused(extend_use(world.parts.store, call, 60))
    assert (error.code, error.members["left"]) == ("bytes_exhausted", 40)
    await extend_use(world.parts.store, call, 40)
    assert (await refused(use(world, grant))).code == "bytes_exhausted"  # nothing is left for it
    await end_use(world.parts.store, call, 75, complete=False)
    assert counters(database) == {f"bytes:{grant.id}": 75}
    assert (await refused(extend_use(world.parts.store, call, 1))).code == "use_over"


async def test_no_more_run_at_once_than_were_granted(database, world):
    grant = await granted(world, concurrent=3)
    tried = await asyncio.gather(*(use(world, grant) for _ in range(32)), return_exceptions=True)
    runs = [each for each in tried if isinstance(each, str)]
    assert len(runs) == 3
    assert {e.code for e in tried if not isinstance(e, str)} == {"too_many_at_once"}
    assert {e.status_code for e in tried if not isinstance(e, str)} == {429}
    await end_use(world.parts.store, runs[0], 0, complete=True)
    await use(world, grant)
    assert (await refused(use(world, grant))).code == "too_many_at_once"


async def test_what_a_dead_worker_held_comes_back_once(database, world):
    grant = await granted(world, concurrent=2, bytes=1000)
    lost, alive = await use(world, grant, FILE), await use(world, grant, FILE)
    assert await end_lost_uses(world.parts.store) == 0
    await lapse(world, lost)
    both = (end_lost_uses(world.parts.store), end_lost_uses(world.parts.store))
    assert sum(await asyncio.gather(*both)) == 1
    await end_use(world.parts.store, lost, 10, complete=False)  # it lived after all
    await extend_use(world.parts.store, alive, 0)
    # What it had reserved counts as delivered: nobody knew better.
    assert counters(database) == {f"concurrent:{grant.id}": 1, f"bytes:{grant.id}": 200}
    await use(world, grant, FILE)
    assert (await refused(use(world, grant, FILE))).code == "too_many_at_once"


async def test_an_end_and_the_sweeper_at_once_give_back_once(database, world):
    grant = await granted(world, concurrent=8)
    for _ in range(8):
        use_id = await use(world, grant)
        await lapse(world, use_id)
        store = world.parts.store
        await asyncio.gather(end_use(store, use_id, 0, complete=True), end_lost_uses(store))
        assert counters(database) == {f"concurrent:{grant.id}": 0}
    assert database.sql("SELECT count(*) FROM use_ends") == [(8,)]


async def test_a_use_begun_before_a_renewal_gives_back_to_what_it_spent(database, world):
    grant = await granted(world, bytes=100)
    use_id = await use(world, grant, FILE)
    await renew_grant(world.parts.desk, world.sme, grant.id, 60, {}, None)
    await end_use(world.parts.store, use_id, 10, complete=False)
    assert counters(database) == {f"bytes:{grant.id}": 10}


def test_the_gateway_knows_how_long_a_lease_is():
    assert LEASE_SECONDS * 1000 == LEASE_MS
