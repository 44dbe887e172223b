"""A sandbox, on both databases and by both engines: anyone registered is given it at once, and all
that stops other grants stops it."""

import pytest

from exchange.access.authorize_grant import authorize_grant
from exchange.access.redecide import Redecider
from exchange.catalog.search import wanted_by
from exchange.catalog.store import OFFERINGS
from exchange.clock import now_ms
from exchange.errors import Conflict, Denied
from tests.support.desk import open_world
from tests.support.judge import judge
from tests.support.opa import opa_server  # noqa: F401
from tests.support.other_policy import put_in_force
from tests.support.policy_engines import patient

SANDBOX = {
    "purposes": ("logistics_planning", "trial"),
    "max_days": 7,
    "max_sessions": 3,
    "min_evidence": "certified",
    "sandbox": True,
}
WHO_ONE_IS = {"consumer_role_missing", "jurisdiction_unknown", "size_unknown"}


@pytest.fixture(params=["embedded", pytest.param("server", marks=pytest.mark.opa)])
async def world(request, exchange):
    made = await open_world(exchange)
    if request.param == "server":
        engine = patient(request.getfixturevalue("opa_server").url)
        await put_in_force(exchange, engine)
    made.offering = await made.publish(**SANDBOX)
    yield made
    if request.param == "server":
        await engine.aclose()


def attempt(world, caller, days=7):
    return world.ask(caller, purpose="trial", days=days)


async def authorized(world, caller, grant):
    people = world.parts.participants
    client = await people.client(caller.client_id)
    consumer = await people.organisation(caller.org_id)
    return await authorize_grant(world.parts.desk, client, consumer, grant.id)


def codes(answer):
    return {each.code for each in answer.reasons}


async def test_anyone_registered_is_given_it_at_once(database, world):
    strangers = [await world.join(role, engaged=False) for role in ("platform", "auditor", "sme")]
    for caller in (*strangers, world.operator):
        answer = await attempt(world, caller)
        assert (answer.status, codes(answer)) == ("permitted", set())
        assert answer.grant.obligations == {"days": 7, "sessions": 3}
        assert answer.receipt is not None
        assert (await authorized(world, caller, answer.grant)).grant_id == answer.grant.id
        again = await attempt(world, caller)
        assert again.grant.id == answer.grant.id
    own = await attempt(world, world.platform)
    assert (own.status, codes(own)) == ("denied", {"self_request"})
    assert judge(database.sql).count("grant.activated.v1") == 4


async def test_the_same_offering_without_the_flag_asks_who_one_is(database, world):
    stranger = await world.join("auditor", engaged=False)
    grant = (await attempt(world, stranger, days=1)).grant
    renewed = await world.renew(grant.id, days=6, caller=stranger)
    assert renewed.status == "permitted"
    world.offering = await world.revise(sandbox=False)
    other = await world.join("auditor", engaged=False)
    refused = await attempt(world, other)
    assert (refused.status, codes(refused), refused.grant) == ("denied", WHO_ONE_IS, None)
    assert (await authorized(world, stranger, grant)).grant_id == grant.id  # as it was granted
    again = await world.renew(grant.id, days=7, caller=stranger)
    assert (again.status, codes(again)) == ("denied", WHO_ONE_IS)
    known = await world.ask(world.sme, purpose="trial", days=7)
    assert codes(known) == {"evidence_too_low"}
    judge(database.sql)


@pytest.mark.parametrize(
    "harm",
    [
        {"classification": "important"},
        {"classification": "core"},
        {"personal_information": "personal"},
        {"personal_information": "sensitive"},
        {"max_days": 8},
    ],
    ids=lambda harm: "-".join(map(str, harm.values())),
)
async def test_the_flag_alone_lifts_nothing(world, harm):
    """As if a platform had got such terms past the API."""
    world.offering = await world.publish(**SANDBOX | harm)
    stranger = await world.join("platform")
    refused = await attempt(world, stranger)
    assert (refused.status, refused.grant) == ("denied", None)
    assert codes(refused) >= WHO_ONE_IS


async def test_what_stops_other_grants_stops_it(database, world):
    stranger = await world.join("auditor", engaged=False)
    grant = (await attempt(world, stranger)).grant
    for target, code in (
        (world.offering.id, "offering_not_published"),
        (world.platform.org_id, "provider_not_active"),
        (stranger.org_id, "consumer_not_active"),
    ):
        hold = await world.suspend(target)
        with pytest.raises(Conflict) as stopped:
            await authorized(world, stranger, grant)
        assert stopped.value.code == "grant_suspended"
        refused = await world.ask(stranger, days=7)  # for another purpose: it is a new request
        assert (refused.status, codes(refused)) == ("denied", {code})
        await world.lift(hold.id)
        assert await authorized(world, stranger, grant)
    await world.revoke(grant.id)
    with pytest.raises(Conflict) as stopped:
        await authorized(world, stranger, grant)
    assert stopped.value.code == "grant_revoked"
    await world.withdraw()
    assert codes(await world.ask(stranger, days=7)) == {"offering_not_published"}
    judge(database.sql)


async def test_what_becomes_known_of_its_holder_changes_nothing(database, world):
    stranger = await world.join("platform")
    grant = (await attempt(world, stranger)).grant
    known = (await world.ask(world.sme, purpose="trial", days=7)).grant
    for name, value in (("jurisdiction", "US"), ("industry", "other"), ("headcount", 9_000)):
        await world.set_attribute(stranger.org_id, name, value)
    await world.set_attribute(world.sme.org_id, "jurisdiction", "US")
    redecider = Redecider(world.parts.desk)
    while await redecider.step():
        pass
    for each, caller in ((grant, stranger), (known, world.sme)):
        assert (await world.parts.store.grant(each.id)).state(now_ms()) == "active"
        assert await authorized(world, caller, each)
    assert judge(database.sql).count("hold.placed.v1") == 0


async def test_a_policy_that_refuses_it_later_is_obeyed(world):
    """A first try is a grant like others: its tokens ask the policy of today."""
    grant = (await attempt(world, world.sme)).grant
    where = OFFERINGS.c.id == world.offering.id
    with world.parts.db.writing() as connection:  # as if it had never been harmless
        terms = world.offering.terms.as_document() | {"classification": "core"}
        connection.execute(OFFERINGS.update().where(where).values(terms=terms))
    world.parts.catalog.drop([world.offering.id])
    with pytest.raises(Denied):
        await authorized(world, world.sme, grant)


async def test_a_search_finds_them_as_long_as_they_are(exchange):
    world = await open_world(exchange)

    async def found(caller, **facets):
        wanted = wanted_by(caller, None, **facets)
        page, _ = await world.parts.catalog.search(wanted, None, 50)
        return [each.id for each in page]

    stranger = await world.join("auditor", engaged=False)
    assert await found(stranger, sandbox=("true",)) == []
    usual, world.offering = world.offering, await world.publish(**SANDBOX)
    assert await found(stranger, sandbox=("true",)) == [world.offering.id]
    assert await found(stranger, sandbox=("true",), purpose=("trial",)) == [world.offering.id]
    assert await found(stranger, sandbox=("true",), kind=("compute",)) == []
    assert await found(stranger) == [world.offering.id, usual.id]
    await world.revise(sandbox=False)
    assert await found(stranger, sandbox=("true",)) == []
    await world.revise(sandbox=True)
    assert await found(stranger, sandbox=("true",)) == [world.offering.id]
    await world.withdraw()
    assert await found(stranger, sandbox=("true",)) == []
