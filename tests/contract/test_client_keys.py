"""The keys and secrets of clients: rows and leaves, on both databases."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import asyncio
from dataclasses import replace

import pytest

from exchange.errors import Conflict, Forbidden, NotFound
from exchange.formats.jwk import thumbprint
from exchange.participants.change_client import add_key, remove_key, replace_secret
from exchange.participants.secrets import make_secret, secret_fits
from tests.support.clients import (
    chain,
    database,
    disable,
    exchange,
    invite,
    register,
    some_key,
    told,
    with_secret,
    world,
)
from tests.support.desk import JWKS
from tests.support.judge import judge

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_new_secret_ends_the_old_one(world, database):
    key = world.parts.secret_key
    client, first = await with_secret(world)
    owner = await world.member(world.sme.org_id, "owner")
    second = make_secret(key)
    changed = await replace_secret(*chain(world), owner, client.id, second)
    assert secret_fits(changed, second.text, key)
    assert not secret_fits(changed, first.text, key)
    itself = replace(world.sme, client_id=client.id, client_rev=changed.rev)
    strangers = [world.sme, itself, await world.member(world.sme.org_id, "developer")]
    for caller in strangers:
        with pytest.raises(Forbidden):
            await replace_secret(*chain(world), caller, client.id, make_secret(key))
    with pytest.raises(NotFound):
        await replace_secret(*chain(world), world.platform, client.id, make_secret(key))
    with pytest.raises(Conflict) as refused:
        await replace_secret(*chain(world), world.operator, world.sme.client_id, make_secret(key))
    assert refused.value.code == "client_has_no_secret"
    with pytest.raises(Conflict):
        await add_key(*chain(world), world.operator, client.id, some_key())
    log = judge(database.sql)
    assert len(told(world, log, "client.secret_replaced.v1")) == 1
    assert not [each for each in (first.text, second.text) if each in str(log.events)]


async def test_keys_stand_side_by_side_and_never_none(world, database):
    client_id, old = world.sme.client_id, JWKS["keys"][0]
    fresh = some_key()
    changed = await add_key(*chain(world), world.sme, client_id, fresh)
    assert [key["kid"] for key in changed.jwks["keys"]] == [old["kid"], fresh["kid"]]
    assert (await add_key(*chain(world), world.sme, client_id, fresh)).rev == changed.rev
    changed = await remove_key(*chain(world), world.sme, client_id, thumbprint(old))
    assert [key["kid"] for key in changed.jwks["keys"]] == [fresh["kid"]]
    with pytest.raises(Conflict) as refused:
        await remove_key(*chain(world), world.sme, client_id, thumbprint(fresh))
    assert refused.value.code == "last_key"
    with pytest.raises(NotFound):
        await remove_key(*chain(world), world.sme, client_id, thumbprint(old))
    added, removed = told(world, judge(database.sql), "client.keys_changed.v1")
    assert (added["added"], added["removed"]) == ([thumbprint(fresh)], [])
    assert (removed["added"], removed["removed"]) == ([], [thumbprint(old)])
    assert removed["thumbprints"] == [thumbprint(fresh)]
    assert removed["key_ids"] == [fresh["kid"]]


async def test_two_keys_removed_at_once_leave_one(world, database):
    for _ in range(4):
        client = await world.client(world.sme.org_id)
        await add_key(*chain(world), world.operator, client.id, some_key())
        current = await world.parts.participants.client(client.id)
        found = await asyncio.gather(
            *[
                remove_key(*chain(world), world.operator, client.id, thumbprint(key))
                for key in current.jwks["keys"]
            ],
            return_exceptions=True,
        )
        assert sum(isinstance(each, Conflict) for each in found) == 1, found
        assert len((await world.parts.participants.client(client.id)).jwks["keys"]) == 1
    judge(database.sql)


async def test_whose_keys_one_may_change(world):
    """Nobody adds a key to another person's client: they would act as that person."""
    owner = await world.member(world.sme.org_id, "owner")
    anna = await world.member(world.sme.org_id, "developer")
    sibling = await world.client(world.sme.org_id)
    await add_key(*chain(world), anna, anna.client_id, some_key())
    await add_key(*chain(world), owner, sibling.id, some_key())
    for caller in (owner, world.operator):
        with pytest.raises(Forbidden) as refused:
            await add_key(*chain(world), caller, anna.client_id, some_key())
        assert refused.value.code == "person_only"
    first = (await world.parts.participants.client(anna.client_id)).jwks["keys"][0]
    await remove_key(*chain(world), owner, anna.client_id, thumbprint(first))
    for caller in (anna, world.sme):
        with pytest.raises(Forbidden):
            await add_key(*chain(world), caller, sibling.id, some_key())
    with pytest.raises(NotFound):
        await add_key(*chain(world), world.platform, sibling.id, some_key())


async def test_a_client_that_waits_or_is_gone_keeps_its_keys(world):
    waiting = await register(world, (await invite(world))[1])
    gone = await world.client(world.sme.org_id)
    await disable(world, gone.id)
    for client in (waiting, gone):
        with pytest.raises(Conflict) as refused:
            await add_key(*chain(world), world.operator, client.id, some_key())
        assert refused.value.code == "client_not_active"
