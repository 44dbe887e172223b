"""A follower of the log decides grants anew, on both databases: what a change touches is held by
the rule where the policy would refuse now, and let go where it would permit again."""

import asyncio
from dataclasses import replace

import pytest

from exchange.access.holds_store import HoldsStore
from exchange.access.redecide import CURSOR, FOLLOWER, Redecider, Waits
from exchange.access.revoke_grant import end_grants
from exchange.access.store import GRANTS
from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden
from exchange.ledger.write import Update, Write
from exchange.policy.model import Provider
from tests.support.desk import ATTRIBUTES, World, open_world
from tests.support.judge import judge
from tests.support.ledgers import OwnDatabase, open_exchange
from tests.support.other_policy import OtherPolicy, put_in_force


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


async def follow(world, **options):
    """Step until nothing is left."""
    redecider = Redecider(world.parts.desk, **options)
    while await redecider.step():
        pass


async def state(world, grant):
    return (await world.parts.store.grant(grant.id)).state(now_ms())


async def rule_hold(world, grant):
    return (await HoldsStore(world.parts.ledger).by_rule([grant.id])).get(grant.id)


def move_to(world, country, org=None):
    return world.set_attribute((org or world.sme).org_id, "jurisdiction", country)


async def test_an_attribute_that_goes_holds_and_that_comes_back_lets_go(database, world):
    grant = (await world.ask()).grant
    other = await world.join("sme", ATTRIBUTES)
    others = (await world.ask(other)).grant
    await follow(world)
    assert judge(database.sql).count("hold.placed.v1") == 0
    await move_to(world, "US")
    await follow(world)
    assert (await state(world, grant), await state(world, others)) == ("suspended", "active")
    hold = await rule_hold(world, grant)
    assert (hold.placed_by, hold.by_org, hold.reason) == ("rule", None, "policy_would_refuse")
    assert [each.code for each in hold.policy_reasons] == ["jurisdiction_not_allowed"]
    assert hold.policy_reasons[0].params == {"jurisdiction": "US"}
    (placed,) = judge(database.sql).of("hold.placed.v1")
    assert placed["reasons"] == ["jurisdiction_not_allowed"]
    assert placed["policy_digest"] == world.parts.engine.digest
    with pytest.raises(Conflict):
        await world.renew(grant.id)
    await move_to(world, "CN")
    await follow(world)
    assert await state(world, grant) == "active"
    lifted = await HoldsStore(world.parts.ledger).hold(hold.id)
    assert (lifted.lifted_by, lifted.lifted_by_org) == ("rule", None)
    assert judge(database.sql).count("hold.lifted.v1") == 1


async def test_repeated_changes_are_one_hold(database, world):
    grant = (await world.ask()).grant
    for country in ("US", "FR", "US"):
        await move_to(world, country)
        await follow(world)
    await move_to(world, "FR")
    await move_to(world, "US")
    await follow(world)
    await follow(world)  # and by another worker that has looked at nothing yet
    assert (await world.parts.store.grant(grant.id)).holds == 1
    assert judge(database.sql).count("hold.placed.v1") == 1


async def test_there_and_back_before_anybody_looked_is_no_hold(database, world):
    await world.ask()
    await move_to(world, "US")
    await move_to(world, "CN")
    await follow(world)
    assert judge(database.sql).count("hold.placed.v1") == 0


async def test_peoples_holds_are_left_alone(database, world):
    grant = (await world.ask()).grant
    own = [await world.suspend(grant.id, world.platform), await world.suspend(grant.id)]
    await move_to(world, "US")
    await follow(world)
    assert (await world.parts.store.grant(grant.id)).holds == 3
    await move_to(world, "CN")
    await follow(world)
    left = await HoldsStore(world.parts.ledger).open_on([grant.id])
    assert [hold.id for hold in left] == [hold.id for hold in own]
    assert await state(world, grant) == "suspended"
    judge(database.sql)


async def test_what_is_over_stays_as_it_is(database, world):
    revoked = (await world.ask()).grant
    ended = (await world.ask(purpose="scientific_research")).grant
    await world.revoke(revoked.id)
    past = Update(GRANTS, ended.id, ended.rev, {"ends_ms": now_ms() - 1})
    await world.parts.ledger.commit(Write(updates=[past]))
    await move_to(world, "US")
    await follow(world)
    await end_grants(world.parts.ledger, world.parts.store)
    await move_to(world, "FR")
    await follow(world)
    assert database.sql("SELECT id FROM holds") == []
    assert (await state(world, revoked), await state(world, ended)) == ("revoked", "ended")


async def test_offerings_and_providers_may_change(database, world):
    """A grant keeps the version that was granted, and of its provider the policy knows only that it
    takes part: whoever tells the policy more must let the follower look at that too."""
    grant = (await world.ask()).grant
    await world.revise(jurisdictions=("US",), max_days=1)
    await move_to(world, "US", world.platform)
    await world.set_attribute(world.sme.org_id, "headcount", 43)
    await follow(world)
    assert await state(world, grant) == "active"
    await world.withdraw()
    await world.set_attribute(world.sme.org_id, "headcount", 44)
    await follow(world)
    assert await state(world, grant) == "active"
    assert judge(database.sql).count("hold.placed.v1") == 0
    assert set(Provider.__annotations__) == {"id", "status"}


async def test_only_the_operator_overrules_the_rule(database, world):
    grant = (await world.ask()).grant
    await move_to(world, "US")
    await follow(world)
    hold = await rule_hold(world, grant)
    for caller in (world.platform, world.sme):
        with pytest.raises(Forbidden):
            await world.lift(hold.id, caller)
    await world.lift(hold.id)
    await follow(world)
    assert await state(world, grant) == "active"
    await world.set_attribute(world.sme.org_id, "headcount", 43)  # the next change
    await follow(world)
    assert await state(world, grant) == "suspended"
    judge(database.sql)


async def many(world, count):
    """As many grants of as many SMEs, each for other days."""
    members = [await world.join("sme", ATTRIBUTES) for _ in range(count)]
    return [(await world.ask(each, days=20 + n)).grant for n, each in enumerate(members)]


async def test_other_policies_decide_every_grant(database, world):
    grants = await many(world, 5)
    real = world.parts.engine
    await put_in_force(world.parts, OtherPolicy(real, max_days=22))
    await follow(world, page=2)
    states = [await state(world, grant) for grant in grants]
    assert states == ["active"] * 3 + ["suspended"] * 2
    hold = await rule_hold(world, grants[3])
    assert hold.policy_reasons[0].params == {"days": 23, "max_days": 22}
    assert [each.code for each in hold.policy_remedies] == ["shorten_duration"]
    await put_in_force(world.parts, real)
    await follow(world, page=2)
    assert [await state(world, grant) for grant in grants] == ["active"] * 5
    judged = judge(database.sql)
    assert (judged.count("hold.placed.v1"), judged.count("hold.lifted.v1")) == (2, 2)


async def test_a_pass_over_all_goes_on_where_it_was(database, world):
    grants = await many(world, 7)
    await follow(world)
    await move_to(world, "CN", world.platform)
    strict = OtherPolicy(world.parts.engine, max_days=1)
    await put_in_force(world.parts, strict)
    strict.fails = lambda document: document["request"]["days"] == 25
    first = Redecider(world.parts.desk, page=2)
    with pytest.raises(Waits):
        await first.step()
    assert [await state(world, grant) for grant in grants] == [
        *(["suspended"] * 5),
        *("active", "suspended"),  # the one without an answer is as it was, those after it held
    ]
    at = database.sql("SELECT next_index FROM followers WHERE id = ?", CURSOR)
    assert at == [(grants[3].leaf_index,)]  # the last of the pages that were done
    strict.fails, strict.asked = (lambda document: False), []
    await follow(world, page=2)
    assert [document["request"]["days"] for document in strict.asked] == [24, 25, 26]
    assert {await state(world, grant) for grant in grants} == {"suspended"}
    assert database.sql("SELECT next_index FROM followers WHERE id = ?", CURSOR) == [(0,)]
    assert judge(database.sql).count("hold.placed.v1") == 7


async def test_no_answer_leaves_everything_and_comes_back(database, world):
    kept = (await world.ask()).grant
    held = (await world.ask(purpose="scientific_research")).grant
    await move_to(world, "US")
    await follow(world)
    place = database.sql("SELECT next_index FROM followers WHERE id = ?", FOLLOWER)
    await move_to(world, "CN")
    engine = OtherPolicy(world.parts.engine)
    engine.digest, engine.fails = world.parts.engine.digest, lambda document: True
    real = world.parts.desk
    world.parts.desk = replace(real, policy=replace(real.policy, engine=engine))
    redecider = Redecider(world.parts.desk)
    for _ in range(2):
        with pytest.raises(Waits):
            await redecider.step()
    assert [await state(world, grant) for grant in (kept, held)] == ["suspended"] * 2
    assert database.sql("SELECT next_index FROM followers WHERE id = ?", FOLLOWER) == place
    engine.fails = lambda document: False
    await redecider.step()
    assert [await state(world, grant) for grant in (kept, held)] == ["active"] * 2
    judge(database.sql)


async def test_a_worker_with_other_policies_decides_nothing(database, world):
    grant = (await world.ask()).grant
    await follow(world)
    outdated = Redecider(world.parts.desk)
    await put_in_force(world.parts, OtherPolicy(world.parts.engine))
    await move_to(world, "US")
    before = database.sql("SELECT id, next_index FROM followers")
    assert await outdated.step() == 0
    assert await state(world, grant) == "active"
    assert database.sql("SELECT id, next_index FROM followers") == before
    await follow(world)
    assert await state(world, grant) == "suspended"


async def test_what_touches_nothing_is_not_written(database, world):
    await follow(world)
    await world.join("sme", ATTRIBUTES)
    before = database.sql("SELECT count(*) FROM checkpoints")
    await follow(world)
    assert database.sql("SELECT id FROM followers WHERE id = ?", FOLLOWER) == []
    assert database.sql("SELECT count(*) FROM checkpoints") == before


@pytest.mark.parametrize("kind", ["attribute", "policy"])
async def test_many_workers_place_one_hold_a_grant(database, world, kind):
    count = 6
    if kind == "policy":
        grants = await many(world, count)
        await put_in_force(world.parts, OtherPolicy(world.parts.engine, max_days=1))
    else:
        offerings = [await world.publish() for _ in range(count)]
        grants = [(await world.ask(offering_id=each.id)).grant for each in offerings]
        await move_to(world, "US")
    redeciders = [Redecider(world.parts.desk, page=2) for _ in range(4)]
    for _ in range(20):
        if not any(await asyncio.gather(*(each.step() for each in redeciders))):
            break
    assert {await state(world, grant) for grant in grants} == {"suspended"}
    assert judge(database.sql).count("hold.placed.v1") == count


@pytest.mark.postgres
async def test_two_workers_and_a_restart(tmp_path):
    """Both workers follow by themselves while attributes come and go, then are gone and back."""
    database = OwnDatabase("postgres", tmp_path / "state")
    async with open_exchange(database, redecides=True) as parts:
        world = await open_world(parts)
        grants = [(await world.ask(offering_id=(await world.publish()).id)).grant for _ in range(4)]
        async with open_exchange(database, redecides=True):
            for country in ("US", "CN", "US", "CN", "US"):
                await move_to(world, country)
                expected = "active" if country == "CN" else "suspended"
                await until_all(world, grants, expected)
        await move_to(world, "CN")
        await until_all(world, grants, "active")
        await move_to(world, "US")
    async with open_exchange(database, redecides=True) as parts:
        again = World(parts, world.operator)
        await until_all(again, grants, "suspended")
    judged = judge(database.sql)
    assert (judged.count("hold.placed.v1"), judged.count("hold.lifted.v1")) == (16, 12)
    database.remove()


async def until_all(world, grants, expected):
    for _ in range(200):
        if {await state(world, grant) for grant in grants} == {expected}:
            return
        await asyncio.sleep(0.05)
    raise AssertionError([await state(world, grant) for grant in grants])
