"""No stale yes: whatever a decision read changes between the decision and its commit.

The change is made inside the policy engine, after it has decided and before anybody knows; by this
worker, and on PostgreSQL by another worker, of whose changes this one's caches have not yet heard.
"""

import json
import time
from dataclasses import replace

import pytest

from connectors.gateway.door import DoorRefused, Use
from exchange.errors import Conflict, Forbidden, Unavailable
from exchange.formats.tokens import make_client_assertion
from exchange.ledger.write import Update, Write
from exchange.mounted_gateway import MountedDoor
from exchange.oauth.model import Refused
from exchange.participants.store import CLIENTS, ORGANISATIONS
from exchange.policy.activate import ACTIVE, STATE
from tests.support.desk import KEY, open_world
from tests.support.endpoint import Endpoint
from tests.support.judge import judge
from tests.support.ledgers import OwnDatabase, cancel, open_exchange

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PLACES = [
    pytest.param(("sqlite", "here"), id="sqlite", marks=pytest.mark.sqlite),
    pytest.param(("postgres", "elsewhere"), id="postgres", marks=pytest.mark.postgres),
]


class Meddler:
    """A policy engine in whose decisions something happens that many times."""

    def __init__(self, engine):
        self._engine, self.change, self.times, self.decisions = engine, None, 0, 0

    @property
    def digest(self):
        return self._engine.digest

    async def decide(self, document):
        decision = await self._engine.decide(document)
        self.decisions += 1
        if self.times:
            self.times -= 1
            await self.change()
        return decision

    async def aclose(self):
        await self._engine.aclose()


@pytest.fixture(params=PLACES)
def place(request, tmp_path):
    kind, where = request.param
    database = OwnDatabase(kind, tmp_path / "state")
    yield database, where
    database.remove()


@pytest.fixture
def database(place):
    return place[0]


@pytest.fixture
async def worlds(place):
    """The world as this worker serves it, and as the one who meddles serves it."""
    database, where = place
    async with open_exchange(database) as parts:
        world = await open_world(parts)
        meddler = Meddler(parts.engine)
        parts.desk = replace(parts.desk, policy=replace(parts.desk.policy, engine=meddler))
        world.meddler = meddler
        if where == "here":
            yield world, world
            return
        cancel(parts, "caches")  # which hear of nothing now
        async with open_exchange(database) as others:
            yield world, replace_parts(world, others)


def replace_parts(world, parts):
    other = type(world)(parts, world.operator)
    other.platform, other.sme, other.offering = world.platform, world.sme, world.offering
    return other


async def new_policy(other):
    """Another worker has put other policies in force."""
    query = STATE.select()
    row = await other.parts.db.read(lambda c: c.execute(query).one())
    digest = "sha256:" + "0" * 64
    event = other.parts.ledger.event(
        "policy.activated.v1", ACTIVE, {"digest": digest, "before": row.digest}
    )
    await other.parts.ledger.commit(
        Write([event], updates=[Update(STATE, ACTIVE, row.rev, {"digest": digest})])
    )


CHANGES = {
    "consumer's attribute": (
        lambda o: o.set_attribute(o.sme.org_id, "jurisdiction", "US"),
        "denied",
    ),
    "consumer suspended": (lambda o: o.suspend(o.sme.org_id), "denied"),
    "provider suspended": (lambda o: o.suspend(o.platform.org_id), "denied"),
    "offering withdrawn": (lambda o: o.withdraw(), "denied"),
    "offering held": (lambda o: o.suspend(o.offering.id, o.platform), "denied"),
    "offering revised": (lambda o: o.revise(purposes=("scientific_research",)), "denied"),
    "approval demanded": (lambda o: o.revise(approval="provider"), "pending_approval"),
    "client disabled": (lambda o: o.disable(o.sme.client_id), Forbidden),
    "policy changed": (new_policy, Unavailable),
}
HARMLESS = {
    "consumer": lambda o: o.set_attribute(o.sme.org_id, "headcount", 43),
    "provider": lambda o: o.touch(ORGANISATIONS, o.platform.org_id),
    "client": lambda o: o.touch(CLIENTS, o.sme.client_id),
    "offering": lambda o: o.revise(max_days=60),
}
LEAF = {"denied": "decision.denied.v1", "pending_approval": "decision.needs_approval.v1"}


@pytest.mark.parametrize("what", CHANGES)
async def test_no_stale_yes(database, worlds, what):
    world, other = worlds
    change, expected = CHANGES[what]
    assert (await world.ask(purpose="scientific_research")).status == "permitted"  # caches are warm
    world.meddler.change, world.meddler.times = lambda: change(other), 1
    decided = world.meddler.decisions
    if isinstance(expected, str):
        assert (await world.ask()).status == expected
        assert world.meddler.decisions == decided + 2
    else:
        with pytest.raises(expected):
            await world.ask()
    judged = judge(database.sql)
    assert judged.count("grant.activated.v1") == 1  # the one before
    for status, kind in LEAF.items():
        assert judged.count(kind) == (status == expected)


@pytest.mark.parametrize("what", HARMLESS)
async def test_a_change_that_does_not_matter_is_decided_again(database, worlds, what):
    world, other = worlds
    world.meddler.change, world.meddler.times = lambda: HARMLESS[what](other), 1
    answer = await world.ask()
    assert answer.status == "permitted"
    assert world.meddler.decisions == 2
    ((document,),) = database.sql("SELECT input FROM decisions")
    document = json.loads(document) if isinstance(document, str) else document
    if what == "consumer":
        assert document["consumer"]["attributes"]["headcount"]["value"] == 43
    if what == "offering":
        assert document["offering"]["max_days"] == 60
        assert answer.grant.offering_version == 2
    assert judge(database.sql).count("grant.activated.v1") == 1


async def test_changes_without_end_are_unavailable(database, worlds):
    world, other = worlds
    world.meddler.change, world.meddler.times = HARMLESS["consumer"], 99
    change = world.meddler.change
    world.meddler.change = lambda: change(other)
    with pytest.raises(Unavailable) as refused:
        await world.ask()
    assert refused.value.code == "decision_stale"
    assert world.meddler.decisions == 3
    judged = judge(database.sql)
    assert judged.count("grant.activated.v1") == judged.count("decision.denied.v1") == 0
    world.meddler.times = 0
    assert (await world.ask()).status == "permitted"


@pytest.mark.parametrize("what", ["consumer's attribute", "client disabled", "offering withdrawn"])
async def test_a_change_before_the_question_that_the_caches_missed(database, worlds, what):
    world, other = worlds
    await world.ask(purpose="scientific_research")
    change, expected = CHANGES[what]
    await change(other)
    if isinstance(expected, str):
        assert (await world.ask()).status == expected
    else:
        with pytest.raises(expected):
            await world.ask()
    assert judge(database.sql).count("grant.activated.v1") == 1


# -- a grant that was looked up, then used


USE_CHANGES = {
    "grant revoked": ("grant_revoked", lambda o, g: o.revoke(g.id)),
    "client disabled": ("grant_changed", lambda o, g: o.disable(g.client_id)),
    "grant held": ("grant_suspended", lambda o, g: o.suspend(g.id, o.platform)),
    "offering held": ("grant_suspended", lambda o, g: o.suspend(g.offering_id)),
    "consumer held": ("grant_suspended", lambda o, g: o.suspend(g.consumer_id)),
    "provider held": ("grant_suspended", lambda o, g: o.suspend(g.provider_id)),
}


@pytest.mark.parametrize("version", ["v1", "v2"])  # in the open session, and in a new one
@pytest.mark.parametrize("what", USE_CHANGES)
async def test_a_change_between_look_up_and_use(database, worlds, monkeypatch, what, version):
    """The gateway has looked, the door has looked again; then it changes; then the use commits."""
    world, other = worlds
    grant = (await world.ask()).grant
    door, store = MountedDoor(world.parts.desk, world.parts.watchers, 15), world.parts.store
    assert (await door.look_up(grant.id)).status == "active"
    await door.record(use_of(grant))
    (code, change), met, changed = USE_CHANGES[what], store.met, []

    async def met_then_changed(keys, now_ms):
        found = await met(keys, now_ms)
        if not changed:
            changed.append(what)
            await change(other, grant)
        return found

    monkeypatch.setattr(store, "met", met_then_changed)
    with pytest.raises(DoorRefused) as refused:
        await door.record(replace(use_of(grant), object_version=version))
    assert refused.value.code == code
    with pytest.raises(DoorRefused):  # and ever after
        await door.record(use_of(grant))
    if code == "grant_suspended":
        assert (await door.look_up(grant.id)).status == "suspended"
    assert len(database.sql("SELECT id FROM uses")) == 1
    assert judge(database.sql).count("delivery.opened.v1") == 1


@pytest.mark.parametrize("what", ["consumer", "provider", "offering"])
async def test_a_use_goes_through_though_something_harmless_changed(
    database, worlds, monkeypatch, what
):
    """What stands around the grant has another rev and no hold: looked at again, and recorded."""
    world, other = worlds
    grant = (await world.ask()).grant
    door, store = MountedDoor(world.parts.desk, world.parts.watchers, 15), world.parts.store
    await door.record(use_of(grant))
    met, tries = store.met, []

    async def met_then_changed(keys, now_ms):
        found = await met(keys, now_ms)
        tries.append(what)
        if len(tries) == 1:
            await HARMLESS[what](other)
        return found

    monkeypatch.setattr(store, "met", met_then_changed)
    await door.record(use_of(grant))
    assert len(tries) == 2
    assert len(database.sql("SELECT id FROM uses")) == 2


def use_of(grant):
    return Use(grant.id, grant.client_id, "data.bin", "v1", "GET", 0, 9, grant.rev)


# -- a grant's token


def form(world, grant):
    issuer, now = world.parts.settings.issuer_url, time.time()
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": make_client_assertion(KEY, world.sme.client_id, issuer, now),
        "scope": f"grant:{grant.id}",
    }


TOKEN_CHANGES = {
    "grant revoked": ("access_denied", lambda o, g: o.revoke(g.id)),
    "grant held": ("access_denied", lambda o, g: o.suspend(g.id)),
    "offering held": ("access_denied", lambda o, g: o.suspend(g.offering_id, o.platform)),
    "client disabled": ("invalid_client", lambda o, _: o.disable(o.sme.client_id)),
    "consumer suspended": ("access_denied", lambda o, _: o.suspend(o.sme.org_id)),
    "policy changed": ("temporarily_unavailable", lambda o, _: new_policy(o)),
} | {
    what: ("access_denied", lambda o, _, change=CHANGES[what][0]: change(o))
    for what in ("consumer's attribute", "provider suspended")
}


@pytest.mark.parametrize("what", TOKEN_CHANGES)
async def test_no_stale_token(worlds, what):
    world, other = worlds
    grant, tokens = (await world.ask()).grant, Endpoint(world.parts)
    assert (await tokens.answer(form(world, grant)))["access_token"]
    code, change = TOKEN_CHANGES[what]
    world.meddler.change, world.meddler.times = lambda: change(other, grant), 1
    with pytest.raises(Refused) as refused:
        await tokens.answer(form(world, grant))
    assert refused.value.error == code
    assert not world.meddler.times


@pytest.mark.parametrize("what", ["consumer", "provider", "client", "offering"])
async def test_a_token_is_given_though_something_harmless_changed(worlds, what):
    world, other = worlds
    grant, tokens = (await world.ask()).grant, Endpoint(world.parts)
    await tokens.answer(form(world, grant))
    world.meddler.change, world.meddler.times = lambda: HARMLESS[what](other), 1
    assert (await tokens.answer(form(world, grant)))["access_token"]


async def test_withdrawing_an_offering_leaves_grants_in_force(worlds):
    world, other = worlds
    grant, tokens = (await world.ask()).grant, Endpoint(world.parts)
    await other.withdraw()
    assert (await tokens.answer(form(world, grant)))["access_token"]


@pytest.mark.parametrize("what", ["grant held", "offering held", "consumer held", "provider held"])
async def test_no_renewal_under_a_hold(database, worlds, what):
    """It is placed after the policy has permitted the renewal, and before that commits."""
    world, other = worlds
    grant = (await world.ask()).grant
    _, change = USE_CHANGES[what]
    world.meddler.change, world.meddler.times = lambda: change(other, grant), 1
    with pytest.raises(Conflict) as refused:
        await world.renew(grant.id, 60)
    assert refused.value.code == "grant_suspended"
    assert judge(database.sql).count("grant.renewed.v1") == world.meddler.times == 0
    assert len(database.sql("SELECT id FROM access_requests")) == 1
