"""Master keys rotated and retired while connections are used and changed: no credential is lost."""

import asyncio
import contextlib
import json
import traceback

import pytest

from connectors.gateway.door import DoorUnavailable
from exchange.connections.rotate_master import Resealer, retire_master, rotate_master
from exchange.connections.store import SECRETS
from exchange.errors import Conflict, StartUpError, Unavailable
from exchange.formats import canonical
from exchange.ledger.write import Stale, Update, Write
from tests.support.connections import OTHER, PLANTED, Platform, header
from tests.support.desk import World, open_world, operator
from tests.support.ledgers import open_exchange


@pytest.fixture
async def platform(exchange):
    return Platform(exchange, (await open_world(exchange)).platform)


def chain(parts):
    desk = parts.connection_desk
    return parts.ledger, desk.store, desk.vault


async def rotate(parts):
    return (await rotate_master(*chain(parts), operator(parts))).key_id


async def retire(parts):
    return await retire_master(*chain(parts), operator(parts))


async def reseal(parts):
    return await Resealer(*chain(parts)).run()


async def value(platform, made):
    return (await platform.opened(made.id)).secret["value"]


def keys_of(database):
    return json.loads((database.state / "keys" / "master.json").read_text())["keys"]


async def test_a_rotation_and_a_retirement(platform, exchange, database):
    made = [await platform.service(header(f"{PLANTED}-{n}")) for n in range(3)]
    await platform.service()
    [before] = exchange.connection_desk.vault.ids
    after = await rotate(exchange)
    assert exchange.connection_desk.vault.ids == [after, before]
    assert [await value(platform, each) for each in made] == [f"{PLANTED}-{n}" for n in range(3)]
    with pytest.raises(Conflict) as refused:
        await retire(exchange)
    assert refused.value.code == "master_key_needed"
    assert refused.value.detail.startswith("3 ")
    revs = [each.rev for each in made]
    assert await reseal(exchange) == 3
    assert await reseal(exchange) == 0
    state = await retire(exchange)
    assert (state.key_id, state.key_ids, state.sealed) == (after, (after,), {after: 3})
    assert len(keys_of(database)) == 1
    assert [await value(platform, each) for each in made] == [f"{PLANTED}-{n}" for n in range(3)]
    store = exchange.connection_desk.store
    kept = [(await store.own(platform.caller.org_id, each.id)).rev for each in made]
    assert kept == revs  # to a platform nothing has changed


async def test_both_are_leaves_that_hold_no_key(platform, exchange, database):
    start = await exchange.ledger.size()
    [before] = exchange.connection_desk.vault.ids
    after = await rotate(exchange)
    await retire(exchange)
    await retire(exchange)  # again: nothing is left to retire, and no leaf
    found = await exchange.ledger.leaves(start, 9)
    rotated, retired = [canonical.decode(leaf.entry)["data"] for leaf in found]
    by = operator(exchange).client_id
    assert rotated == {"key_id": after, "before": before, "by": by}
    assert retired == {"key_id": after, "retired": [before], "by": by}
    for leaf in found:
        assert keys_of(database)[0].encode() not in leaf.entry


async def test_what_is_given_after_a_rotation_is_sealed_by_the_new_key(platform, exchange):
    made = await platform.service(header())
    after = await rotate(exchange)
    await platform.replace(made.id, header(OTHER))
    second = await platform.service(header())
    assert await exchange.connection_desk.store.sealed_by() == {after: 2}
    assert await reseal(exchange) == 0
    await retire(exchange)
    assert [await value(platform, each) for each in (made, second)] == [OTHER, PLANTED]


async def test_a_credential_replaced_under_the_sweep_stays(platform, exchange, monkeypatch):
    """The sweep has read the row and not yet written; the platform's word comes between."""
    made = await platform.service(header())
    await rotate(exchange)
    commit = exchange.ledger.commit

    async def late(write):
        if any(each.table is SECRETS for each in write.updates) and not write.events:
            monkeypatch.setattr(exchange.ledger, "commit", commit)
            await platform.replace(made.id, header(OTHER))
        return await commit(write)

    monkeypatch.setattr(exchange.ledger, "commit", late)
    assert await reseal(exchange) == 0
    assert await value(platform, made) == OTHER


async def test_a_credential_resealed_under_a_replacement_is_replaced_all_the_same(
    platform, exchange, monkeypatch
):
    made = await platform.service(header())
    await rotate(exchange)
    commit = exchange.ledger.commit

    async def late(write):
        if write.events:
            monkeypatch.setattr(exchange.ledger, "commit", commit)
            assert await reseal(exchange) == 1
        return await commit(write)

    monkeypatch.setattr(exchange.ledger, "commit", late)
    await platform.replace(made.id, header(OTHER))
    assert await value(platform, made) == OTHER


async def test_nothing_is_sealed_by_a_key_that_was_rotated_meanwhile(
    platform, exchange, monkeypatch
):
    """A worker has sealed by the old key, and commits after rotation and retirement."""
    commit = exchange.ledger.commit

    async def late(write):
        if write.inserts:
            monkeypatch.setattr(exchange.ledger, "commit", commit)
            await rotate(exchange)
            await retire(exchange)
        return await commit(write)

    monkeypatch.setattr(exchange.ledger, "commit", late)
    made = await platform.service(header())
    assert await value(platform, made) == PLANTED
    assert list(await exchange.connection_desk.store.sealed_by()) == list(
        exchange.connection_desk.vault.ids
    )


async def test_rows_that_were_swapped_open_nothing(platform, exchange, database):
    """Whoever may write to the database still gets no platform's secret sent to another's host."""
    rival = Platform(exchange, await World(exchange, operator(exchange)).join("platform"))
    ours = await platform.service(header())
    theirs = await rival.service(header(OTHER), url="https://rival.example/")
    second = await platform.service(header(OTHER))
    sealed = dict(database.sql("SELECT id, sealed FROM connection_secrets"))
    for one, other in ((ours, theirs), (theirs, ours), (second, ours)):
        database.sql(
            "UPDATE connection_secrets SET sealed = ? WHERE id = ?", sealed[other.id], one.id
        )
    for who, made in ((platform, ours), (rival, theirs), (platform, second)):
        with pytest.raises(DoorUnavailable) as refused:
            await who.opened(made.id)
        assert PLANTED not in repr(refused.value)
    await rotate(exchange)
    assert await reseal(exchange) == 0  # nor are they laundered by a rotation
    with pytest.raises(Conflict, match="3 credentials"):
        await retire(exchange)
    await platform.replace(ours.id, header())
    assert await value(platform, ours) == PLANTED


async def test_one_row_that_no_key_opens_is_denied_alone(platform, exchange, database, caplog):
    made, other = [await platform.service(header()) for _ in range(2)]
    database.sql("UPDATE connection_secrets SET sealed = 'gAAAAA' WHERE id = ?", made.id)
    with pytest.raises(DoorUnavailable):
        await platform.opened(made.id)
    assert "credential_unreadable" in caplog.text
    assert await value(platform, other) == PLANTED
    database.sql("DELETE FROM connection_secrets WHERE id = ?", made.id)
    with pytest.raises(DoorUnavailable):  # never without what it should be sent with
        await platform.opened(made.id)
    await platform.replace(made.id, header(OTHER))
    assert await value(platform, made) == OTHER


async def test_without_its_key_it_does_not_start(database):
    async with open_exchange(database) as parts:
        platform = Platform(parts, (await open_world(parts)).platform)
        made = await platform.service(header())
    path = database.state / "keys" / "master.json"
    whole = path.read_text()
    path.rename(path.with_name("kept"))
    with pytest.raises(StartUpError, match="is missing"):
        async with open_exchange(database):
            pass
    path.write_text(whole[:30])
    with pytest.raises(StartUpError, match="cannot be read"):
        async with open_exchange(database):
            pass
    path.write_text(whole)
    async with open_exchange(database) as parts:
        again = Platform(parts, platform.caller)
        assert await value(again, made) == PLANTED
        [lost] = parts.connection_desk.vault.ids
    path.write_text(json.dumps({"keys": [], "abandoned": [lost]}))
    async with open_exchange(database) as parts:
        again = Platform(parts, platform.caller)
        with pytest.raises(DoorUnavailable):
            await again.opened(made.id)
        await again.replace(made.id, header(OTHER))
        assert await value(again, made) == OTHER
        assert lost not in await parts.connection_desk.store.sealed_by()


async def test_rotations_while_everything_is_used(platform, exchange):
    """Readers, replacements, sweeps and rotations at once: each reader finds a whole credential."""
    made = [await platform.service(header()) for _ in range(4)]
    given = {each.id: PLANTED for each in made}
    done = False

    async def read():
        while not done:
            for each in made:
                assert (await value(platform, each)).startswith((PLANTED, OTHER))
            await asyncio.sleep(0)

    async def replace():
        for number in range(6):
            for each in made:
                secret = f"{OTHER}-{number}"
                while given[each.id] != secret:
                    with contextlib.suppress(Unavailable):  # busy: nothing was done, try again
                        await platform.replace(each.id, header(secret))
                        given[each.id] = secret

    async def rotations():
        for _ in range(4):
            await rotate(exchange)
            while await reseal(exchange):
                pass
            try:
                await retire(exchange)
            except Conflict:  # a replacement came between
                await reseal(exchange)

    reader = asyncio.create_task(read())
    await asyncio.gather(replace(), rotations())
    done = True
    await reader
    assert {each.id: await value(platform, each) for each in made} == given


async def test_the_sweep_never_writes_over_a_row_it_did_not_read(platform, exchange):
    """The compare-and-set itself: a stale rev writes nothing."""
    made = await platform.service(header())
    stale = Update(SECRETS, made.id, 7, {"sealed": "x"})
    with pytest.raises(Stale):
        await exchange.ledger.commit(Write(updates=[stale]))
    assert await value(platform, made) == PLANTED


async def test_no_part_shows_a_key_or_a_secret(platform, exchange, database):
    """Whoever prints the exchange's parts or settings, or an error's whole chain, reads none."""
    made = await platform.service(header())
    [key] = keys_of(database)
    settings = exchange.settings
    shown = [repr(exchange), repr(settings), str(settings.model_dump()), settings.model_dump_json()]
    shown += [repr(vars(each)) for each in (exchange.connection_desk.vault, exchange.connections)]
    database.sql("UPDATE connection_secrets SET sealed = 'gAAAAA' WHERE id = ?", made.id)
    with pytest.raises(DoorUnavailable) as refused:
        await platform.opened(made.id)
    shown.append("".join(traceback.format_exception(refused.value)))
    for text in shown:
        assert key not in text
        assert PLANTED not in text
