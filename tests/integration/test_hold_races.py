"""A hold against whatever else is done to a grant at once: one order or the other, and the leaves
tell which. Under the hold there is no token and no delivery, whoever was quicker.

How often each race is run: tests/support/race.py.
"""

import pytest

from connectors.gateway.door import DoorRefused, Use
from exchange.access.authorize_grant import authorize_grant
from exchange.access.holds_store import HoldsStore
from exchange.access.redecide import Redecider
from exchange.clock import now_ms
from exchange.errors import Conflict, ExchangeError
from exchange.mounted_gateway import MountedDoor
from tests.support.judge import judge
from tests.support.race import ROUNDS, Pace, at_once, purposes

TARGETS = {
    "grant": lambda grant: grant.id,
    "offering": lambda grant: grant.offering_id,
    "consumer": lambda grant: grant.consumer_id,
    "provider": lambda grant: grant.provider_id,
}


def index_of(judged, kind, **data):
    """The index of the one leaf of this kind that says so; None where there is none."""
    found = [
        index
        for index, event in enumerate(judged.events)
        if event["type"] == f"exchange.{kind}"
        and all(event["data"][name] == value for name, value in data.items())
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


async def assert_suspended(world, grant_id):
    """No token and no delivery, for one who looked just now."""
    parts = world.parts
    grant = await parts.store.grant(grant_id)
    assert grant.state(now_ms()) == "suspended"
    client = await parts.participants.client(grant.client_id)
    consumer = await parts.participants.organisation(grant.consumer_id)
    with pytest.raises(Conflict):
        await authorize_grant(parts.desk, client, consumer, grant.id)
    use = Use(grant.id, grant.client_id, "data.bin", "v1", "GET", 0, 9, grant.rev)
    with pytest.raises(DoorRefused):
        await MountedDoor(parts.desk, parts.watchers, 15).record(use)


async def done(work, outcomes):
    """What a call came to: an answer's status, done, or the code of a refusal."""
    if isinstance(work, ExchangeError):
        outcomes.add(work.code)
        return work.code
    status = getattr(work, "status", "done")
    outcomes.add(status)
    return status


async def start(world, there):
    world.offering = there.offering = await world.publish()


@pytest.mark.parametrize("target", TARGETS)
async def test_suspend_and_renew(place, target):
    database, here, there = place
    await start(here, there)
    renewed, denied, outcomes, pace = [], 0, set(), Pace()
    for n in range(ROUNDS):
        grant = (await here.ask(purpose=purposes(n), days=30)).grant
        held = here.suspend(TARGETS[target](grant))
        hold, answer = await pace.at_once(held, there.renew(grant.id, 60))
        became = await done(answer, outcomes)
        assert hold.is_open
        stands = await here.parts.store.grant(grant.id)
        assert stands.renewals == (became == "permitted")
        assert (stands.ends_ms > grant.ends_ms) == (became == "permitted")
        renewed += [(grant.id, hold.id)] * (became == "permitted")
        pace.learn(was_first=became != "permitted")
        denied += became == "denied"
        await assert_suspended(here, grant.id)
        await assert_suspended(there, grant.id)
        await here.lift(hold.id)
        await here.revoke(grant.id)
    assert outcomes <= {"permitted", "denied", "grant_suspended"}
    assert 0 < len(renewed) < ROUNDS, "one of them was always quicker: that is no race"
    judged = judge(database.sql)
    assert judged.count("hold.placed.v1") == judged.count("hold.lifted.v1") == ROUNDS
    assert judged.count("grant.renewed.v1") == len(renewed)
    assert judged.count("decision.denied.v1") == denied
    for grant_id, hold_id in renewed:
        first = index_of(judged, "grant.renewed.v1", renews=grant_id)
        assert first < index_of(judged, "hold.placed.v1", hold_id=hold_id)
    assert database.sql("SELECT id FROM uses") == []


@pytest.mark.parametrize("target", ["offering", "consumer", "provider"])
async def test_suspend_and_approve(place, target):
    database, here, there = place
    anna = await here.member(here.platform.org_id, "approver")
    granted, outcomes, pace = [], set(), Pace()
    for n in range(ROUNDS):
        asked = await here.ask(purpose=purposes(n))
        on = {"offering": here.offering.id, "consumer": here.sme.org_id}
        on["provider"] = here.platform.org_id
        suspend = here.suspend(on[target])
        hold, _ = await pace.at_once(suspend, there.approve(asked.request_id, anna))
        held = await here.parts.store.held(asked.request_id, here.operator)
        outcomes.add(held.status)
        assert (held.grant is not None) == (held.status == "approved")
        pace.learn(was_first=held.grant is None)
        if held.grant is not None:
            granted.append((held.grant.id, hold.id))
            await assert_suspended(there, held.grant.id)
            await here.revoke(held.grant.id)
        await here.lift(hold.id)
        if held.status == "pending_approval":  # it waited on, and is approved now
            grant = (await here.approve(asked.request_id, anna)).answer.grant
            await here.revoke(grant.id)
    assert outcomes == {"approved", "pending_approval"}
    judged = judge(database.sql)
    assert judged.count("grant.activated.v1") == ROUNDS
    assert judged.count("hold.placed.v1") == ROUNDS
    assert 0 < len(granted) < ROUNDS
    for grant_id, hold_id in granted:
        first = index_of(judged, "grant.activated.v1", grant_id=grant_id)
        assert first < index_of(judged, "hold.placed.v1", hold_id=hold_id)


async def test_suspend_and_approve_the_renewal(place):
    database, here, there = place
    anna = await here.member(here.platform.org_id, "approver")
    renewed, pace = [], Pace()
    for n in range(ROUNDS):
        asked = await here.ask(purpose=purposes(n), days=30)
        grant = (await here.approve(asked.request_id, anna)).answer.grant
        again = await here.renew(grant.id, 60)
        suspend = here.suspend(grant.id, here.platform)
        hold, _ = await pace.at_once(suspend, there.approve(again.request_id, anna))
        held = await here.parts.store.held(again.request_id, here.operator)
        assert held.status in ("approved", "pending_approval")
        stands = await here.parts.store.grant(grant.id)
        assert stands.renewals == (held.status == "approved")
        renewed += [(grant.id, hold.id)] * stands.renewals
        pace.learn(was_first=not stands.renewals)
        await assert_suspended(there, grant.id)
        await here.lift(hold.id)
        if held.status == "pending_approval":  # it goes on where it was
            await here.approve(again.request_id, anna)
            assert (await here.parts.store.grant(grant.id)).renewals == 1
        await here.revoke(grant.id)
    judged = judge(database.sql)
    assert judged.count("grant.renewed.v1") == ROUNDS
    assert 0 < len(renewed) < ROUNDS
    for grant_id, hold_id in renewed:
        first = index_of(judged, "grant.renewed.v1", renews=grant_id)
        assert first < index_of(judged, "hold.placed.v1", hold_id=hold_id)


async def test_two_lifts_at_once_are_one(place):
    database, here, there = place
    await start(here, there)
    grant = (await here.ask()).grant
    for _ in range(ROUNDS):
        hold = await here.suspend(grant.id, here.platform)
        other = await here.suspend(grant.id)
        lifts = (here.lift(hold.id, here.platform), there.lift(hold.id), there.lift(hold.id))
        assert not [each for each in await at_once(*lifts) if isinstance(each, Exception)]
        await assert_suspended(there, grant.id)
        await at_once(here.lift(other.id), there.lift(other.id))
        assert (await there.parts.store.grant(grant.id)).state(now_ms()) == "active"
    judged = judge(database.sql)
    assert judged.count("hold.placed.v1") == judged.count("hold.lifted.v1") == 2 * ROUNDS


async def test_place_and_lift_another(place):
    database, here, there = place
    await start(here, there)
    grant = (await here.ask()).grant
    hold = await here.suspend(grant.id)
    for _ in range(ROUNDS):
        _, hold = await at_once(there.lift(hold.id), here.suspend(grant.id, here.platform))
        await assert_suspended(there, grant.id)
    judged = judge(database.sql)
    assert judged.count("hold.placed.v1") == judged.count("hold.lifted.v1") + 1 == ROUNDS + 1


async def test_place_and_revoke(place):
    database, here, there = place
    await start(here, there)
    held, pace = [], Pace()
    for n in range(ROUNDS):
        grant = (await here.ask(purpose=purposes(n))).grant
        suspend = here.suspend(grant.id, here.platform)
        hold, _ = await pace.at_once(suspend, there.revoke(grant.id))
        pace.learn(was_first=not isinstance(hold, ExchangeError))
        assert (await here.parts.store.grant(grant.id)).status == "revoked"
        if isinstance(hold, ExchangeError):
            assert hold.code == "grant_revoked"
        else:
            held.append((grant.id, hold.id))
        assert (await here.ask(purpose=purposes(n))).grant.id != grant.id  # its key was freed
        await here.revoke((await here.ask(purpose=purposes(n))).grant.id)
    judged = judge(database.sql)
    assert judged.count("grant.revoked.v2") == 2 * ROUNDS
    assert judged.count("hold.placed.v1") == len(held)
    assert 0 < len(held) < ROUNDS
    for grant_id, hold_id in held:
        first = index_of(judged, "hold.placed.v1", hold_id=hold_id)
        assert first < index_of(judged, "grant.revoked.v2", grant_id=grant_id)


async def test_the_rule_and_a_renewal_and_people(place):
    """Two followers and whoever else touches the grant: the rule holds it once, lets go once."""
    database, here, there = place
    await start(here, there)
    followers = [Redecider(here.parts.desk), Redecider(there.parts.desk)]
    for n in range(ROUNDS):
        grant = (await here.ask(purpose=purposes(n), days=30)).grant
        for country in ("US", "CN"):
            await here.set_attribute(here.sme.org_id, "jurisdiction", country)
            work = there.renew(grant.id, 60) if n % 2 else there.suspend(grant.id, there.platform)
            results = await at_once(*(each.step() for each in followers), work)
            await followers[n % 2].step()
            ours = (await HoldsStore(here.parts.ledger).by_rule([grant.id])).get(grant.id)
            assert (ours is not None) == (country == "US")
            if country == "US":
                await assert_suspended(there, grant.id)
            if not n % 2:
                await here.lift(results[-1].id)
        assert (await here.parts.store.grant(grant.id)).state(now_ms()) == "active"
        await here.revoke(grant.id)
    judged = judge(database.sql)
    rules = [data for data in judged.of("hold.placed.v1") if data["placed_by"] == "rule"]
    assert len(rules) == ROUNDS
