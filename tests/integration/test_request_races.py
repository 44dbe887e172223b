"""Two acts on one request or grant at once: one of them wins, and rows and leaves agree on which.

`RACE_ROUNDS` is how often each race is run; tests/campaigns/races.py asks for many.
"""

from exchange.access.chase_requests import chase_requests
from tests.support.desk import open_world
from tests.support.judge import judge
from tests.support.ledgers import open_exchange
from tests.support.race import ROUNDS, at_once, on, purposes


async def status_of(world, request_id):
    return (await world.parts.store.held(request_id, world.operator)).status


async def test_approve_and_withdraw(place):
    database, here, there = place
    anna = await here.member(here.platform.org_id, "approver")
    outcomes = set()
    for n in range(ROUNDS):
        asked = await here.ask(purpose=purposes(n))
        calls = [
            here.approve(asked.request_id, anna),
            there.act("withdraw", asked.request_id, there.sme),
        ]
        await at_once(*(calls if n % 4 < 2 else reversed(calls)))
        status = await status_of(here, asked.request_id)
        outcomes.add(status)
        held = await here.parts.store.held(asked.request_id, here.operator)
        assert (held.grant is not None) == (status == "approved")
        if held.grant is not None:
            await here.revoke(held.grant.id)
    assert outcomes <= {"approved", "withdrawn"}
    judged = judge(database.sql)
    assert judged.count("grant.activated.v1") + judged.count("request.withdrawn.v1") == ROUNDS


async def test_two_approvers_at_once_are_two_people_and_one_grant(place):
    database, here, there = place
    here.offering = there.offering = await here.publish(approval="provider", approvers=2)
    anna, bo = [await here.member(here.platform.org_id, "approver") for _ in range(2)]
    for n in range(ROUNDS):
        asked = await here.ask(purpose=purposes(n))
        done = await at_once(
            here.approve(asked.request_id, anna), there.approve(asked.request_id, bo)
        )
        assert not [each for each in done if isinstance(each, Exception)]
        held = await here.parts.store.held(asked.request_id, here.operator)
        assert held.status == "approved"
        assert {each["by"] for each in held.approvals} == {anna.member_id, bo.member_id}
        await here.revoke(held.grant.id)
    judged = judge(database.sql)
    assert judged.count("request.approved.v1") == 2 * ROUNDS
    assert judged.count("grant.activated.v1") == ROUNDS


async def test_one_approver_twice_at_once_counts_once(place):
    database, here, there = place
    here.offering = there.offering = await here.publish(approval="provider", approvers=2)
    anna = await here.member(here.platform.org_id, "approver")
    for n in range(ROUNDS):
        asked = await here.ask(purpose=purposes(n))
        await at_once(here.approve(asked.request_id, anna), there.approve(asked.request_id, anna))
        assert await status_of(here, asked.request_id) == "pending_approval"
        await here.act("withdraw", asked.request_id, here.sme)
    judged = judge(database.sql)
    assert judged.count("request.approved.v1") == ROUNDS
    assert judged.count("grant.activated.v1") == 0


async def test_reject_and_approve(place):
    database, here, there = place
    anna, bo = [await here.member(here.platform.org_id, "approver") for _ in range(2)]
    for n in range(ROUNDS):
        asked = await here.ask(purpose=purposes(n))
        await at_once(
            here.approve(asked.request_id, anna),
            there.act("reject", asked.request_id, bo, "No."),
        )
        held = await here.parts.store.held(asked.request_id, here.operator)
        assert held.status in ("approved", "rejected")
        if held.grant is not None:
            await here.revoke(held.grant.id)
    judged = judge(database.sql)
    assert judged.count("grant.activated.v1") + judged.count("request.rejected.v1") == ROUNDS


async def test_revoke_and_renew(place):
    database, here, there = place
    here.offering = there.offering = await here.publish()
    for n in range(ROUNDS):
        grant = (await here.ask(purpose=purposes(n), days=30)).grant
        await at_once(here.revoke(grant.id), there.renew(grant.id, 60))
        assert (await here.parts.store.grant(grant.id)).status == "revoked"
        assert (await here.ask(purpose=purposes(n))).grant.id != grant.id  # its key was freed
        again = (await here.ask(purpose=purposes(n))).grant
        await here.revoke(again.id)
    assert judge(database.sql).count("grant.revoked.v2") == 2 * ROUNDS


async def test_two_renewals_at_once_are_one(place):
    database, here, there = place
    here.offering = there.offering = await here.publish()
    for n in range(ROUNDS):
        grant = (await here.ask(purpose=purposes(n))).grant
        answers = await at_once(
            here.renew(grant.id, 60, key=f"k{n}"), there.renew(grant.id, 60, key=f"k{n}")
        )
        assert len({answer.request_id for answer in answers}) == 1
        assert (await here.parts.store.grant(grant.id)).renewals == 1
        await here.revoke(grant.id)
    assert judge(database.sql).count("grant.renewed.v1") == ROUNDS


async def test_one_key_in_parallel_is_one_step(place):
    database, here, there = place
    anna = await here.member(here.platform.org_id, "approver")
    for n in range(ROUNDS):
        asked = await here.ask(purpose=purposes(n))
        request = asked.request_id
        await at_once(
            here.act("ask", request, anna, "Why?", key=f"q{n}"),
            there.act("ask", request, anna, "Why?", key=f"q{n}"),
        )
        await at_once(
            here.approve(request, anna, key=f"a{n}"), there.approve(request, anna, key=f"a{n}")
        )
        held = await here.parts.store.held(request, here.operator)
        assert held.status == "approved"
        await here.revoke(held.grant.id)
    judged = judge(database.sql)
    assert judged.count("request.questioned.v1") == ROUNDS
    assert judged.count("request.approved.v1") == judged.count("grant.activated.v1") == ROUNDS


async def test_one_key_across_a_restart_is_one_step(sqlite):
    async with open_exchange(sqlite) as parts:
        world = await open_world(parts)
        world.offering = await world.publish(approval="provider")
        anna = await world.member(world.platform.org_id, "approver")
        asked = await world.ask(key="r")
        await world.approve(asked.request_id, anna, key="a")
    async with open_exchange(sqlite) as parts:
        again = on(world, parts)
        assert (await again.ask(key="r")).request_id == asked.request_id
        done = await again.approve(asked.request_id, anna, key="a")
        assert done.answer.status == "approved"
        await again.renew(done.answer.grant.id, 60, key="n")
    async with open_exchange(sqlite) as parts:
        again = on(world, parts)
        await again.renew(done.answer.grant.id, 60, key="n")
    judged = judge(sqlite.sql)
    assert judged.count("request.approved.v1") == judged.count("grant.activated.v1") == 1
    assert len(sqlite.sql("SELECT id FROM access_requests")) == 2


async def test_a_lapse_and_an_approval(place):
    database, here, there = place
    anna = await here.member(here.platform.org_id, "approver")
    for n in range(ROUNDS):
        asked = await here.ask(purpose=purposes(n))
        database.sql("UPDATE access_requests SET until_ms = 1 WHERE id = ?", asked.request_id)
        await at_once(here.approve(asked.request_id, anna), chase_requests(there.parts.desk))
        held = await here.parts.store.held(asked.request_id, here.operator)
        assert held.status in ("approved", "lapsed")
        if held.grant is not None:
            await here.revoke(held.grant.id)
    judge(database.sql)
