"""Platforms' connections: registered, changed, replaced, removed; what a gateway gets of them."""

import asyncio
from dataclasses import replace

import pytest

from connectors.gateway.door import DoorUnavailable
from exchange.catalog.publish_offering import draft_offering, publish_offering, withdraw_offering
from exchange.connections.model import Address
from exchange.connections.register_connection import MAX_CONNECTIONS
from exchange.connections.rotate_master import rotate_master
from exchange.errors import BadInput, Conflict, Forbidden, NotFound
from exchange.formats import canonical
from exchange.outward.allow import AllowList
from tests.support.connections import OTHER, PLANTED, SERVICE, STORE, Platform, header, keys
from tests.support.desk import TERMS, open_world, operator


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


@pytest.fixture
def platform(world):
    return Platform(world.parts, world.platform)


@pytest.fixture
async def rival(world):
    return Platform(world.parts, await world.join("platform"))


async def leaves(parts, start=0):
    found = await parts.ledger.leaves(start, 500)
    return [(leaf.type.removeprefix("exchange."), canonical.decode(leaf.entry)) for leaf in found]


async def test_a_gateway_gets_what_was_given(platform):
    store, service = await platform.store(), await platform.service(header())
    opened = await platform.opened(store.id)
    assert opened.url == "https://s3.platform.example"
    assert opened.settings == {"bucket": "flights", "region": "us-east-1"}
    assert opened.secret == {"access_key": "AKIAPLANTED0", "secret_key": PLANTED}
    opened = await platform.opened(service.id)
    assert opened.settings == {"header": "X-Api-Key"}
    assert opened.secret == {"value": PLANTED}
    assert PLANTED not in repr(opened) + repr(service) + repr(header())
    open_to_all = await platform.opened((await platform.service()).id)
    assert (open_to_all.settings, open_to_all.secret) == ({}, {})


async def test_a_replaced_credential_is_used_from_the_next_request_on(platform):
    made = await platform.service(header())
    assert (await platform.opened(made.id)).secret["value"] == PLANTED
    replaced = await platform.replace(made.id, header(OTHER))
    assert replaced.rev == made.rev + 1
    assert replaced.replaced_ms >= made.replaced_ms
    assert (await platform.opened(made.id)).secret["value"] == OTHER
    assert (await platform.replace(made.id, None)).credential is None
    assert (await platform.opened(made.id)).secret == {}
    await platform.replace(made.id, header())
    assert (await platform.opened(made.id)).secret["value"] == PLANTED


async def test_a_credential_goes_to_the_host_that_it_was_given_for(platform, exchange):
    """Who may change the address must not be able to have the secret sent to themselves."""
    made = await platform.service(header())
    there = Address("Elsewhere", "https://elsewhere.example/v1", {})
    for url in ("https://elsewhere.example/v1", "https://api.platform.example:8443/v1"):
        with pytest.raises(BadInput) as refused:
            await platform.change(made.id, replace(there, url=url))
        assert refused.value.code == "credential_needed"
    path = replace(SERVICE, url="https://api.platform.example/v2")
    assert (await platform.change(made.id, path)).url.endswith("/v2")
    assert (await platform.opened(made.id)).secret["value"] == PLANTED
    await platform.change(made.id, there, header(OTHER))
    opened = await platform.opened(made.id)
    assert (opened.url, opened.secret["value"]) == (there.url, OTHER)


async def test_an_address_changed_in_the_database_gets_no_secret(platform, database):
    made = await platform.service(header())
    database.sql("UPDATE connections SET url = 'https://elsewhere.example/' WHERE id = ?", made.id)
    with pytest.raises(DoorUnavailable):
        await platform.opened(made.id)


async def test_every_change_is_a_leaf_that_holds_no_secret(platform, exchange):
    start = await exchange.ledger.size()
    made = await platform.store()
    await platform.change(made.id, replace(STORE, name="Renamed"))
    await platform.replace(made.id, keys(OTHER))
    await platform.remove(made.id)
    told = await leaves(exchange, start)
    assert [kind for kind, _ in told] == [
        "connection.registered.v1",
        "connection.changed.v1",
        "connection.credential_replaced.v1",
        "connection.removed.v1",
    ]
    for _, entry in told:
        assert entry["subject"] == made.id
        text = canonical.encode(entry).decode()
        for word in (PLANTED, OTHER, "AKIA", "platform.example", "flights", "Our store"):
            assert word not in text


async def test_a_change_with_a_credential_is_two_leaves(platform, exchange):
    made = await platform.service(header())
    start = await exchange.ledger.size()
    await platform.change(made.id, SERVICE, header(OTHER))
    told = [kind for kind, _ in await leaves(exchange, start)]
    assert told == ["connection.changed.v1", "connection.credential_replaced.v1"]


async def test_a_removed_connection_is_gone_with_its_secret(platform, database):
    made = await platform.store()
    await platform.remove(made.id)
    assert await platform.opened(made.id) is None
    assert await platform.desk.store.list_own(platform.caller.org_id, None, 9) == []
    for verb in (platform.remove(made.id), platform.replace(made.id, keys())):
        with pytest.raises(NotFound):
            await verb
    assert database.sql("SELECT * FROM connection_secrets") == []
    assert database.sql("SELECT url, name, salt, credential FROM connections") == [
        ("", "", "", None)
    ]


async def test_what_an_offering_is_served_by_stays(world, platform):
    made = await platform.service(header())
    source = {"connector": "http", "connection": made.id, "allow": ["GET /*"]}
    terms = replace(TERMS, kind="compute", source=source)
    parts, chain = world.parts, (world.parts.ledger, world.parts.catalog)
    draft = await draft_offering(*chain, world.platform, terms)
    await publish_offering(*chain, parts.participants, world.sources, world.platform, draft.id)
    with pytest.raises(Conflict) as refused:
        await platform.remove(made.id)
    assert refused.value.code == "connection_in_use"
    assert draft.id in refused.value.detail
    await withdraw_offering(*chain, world.platform, draft.id)
    await platform.remove(made.id)


async def test_removing_and_publishing_at_once_never_both(world, platform):
    parts, chain = world.parts, (world.parts.ledger, world.parts.catalog)
    for _ in range(5):
        made = await platform.service()
        source = {"connector": "http", "connection": made.id, "allow": ["GET /*"]}
        terms = replace(TERMS, kind="compute", source=source)
        draft = await draft_offering(*chain, world.platform, terms)
        published, removed = await asyncio.gather(
            publish_offering(*chain, parts.participants, world.sources, world.platform, draft.id),
            platform.remove(made.id),
            return_exceptions=True,
        )
        failed = [each for each in (published, removed) if isinstance(each, Exception)]
        assert len(failed) == 1
        assert isinstance(failed[0], BadInput | Conflict)


async def test_another_platforms_connection_is_nobodys(platform, rival):
    made = await platform.store()
    assert await rival.opened(made.id) is None
    for verb in (
        rival.remove(made.id),
        rival.replace(made.id, keys()),
        rival.change(made.id, STORE),
        rival.desk.store.own(rival.caller.org_id, made.id),
    ):
        with pytest.raises(NotFound):
            await verb
    assert await rival.desk.store.list_own(rival.caller.org_id, None, 9) == []


async def test_who_of_the_people_sees_to_connections(world, platform):
    made = await platform.store()
    org_id = world.platform.org_id
    for role in ("owner", "publisher"):
        person = Platform(world.parts, await world.member(org_id, role))
        await person.replace(made.id, keys())
    for role in ("approver", "developer", "auditor"):
        person = Platform(world.parts, await world.member(org_id, role))
        for verb in (person.store(), person.replace(made.id, keys()), person.remove(made.id)):
            with pytest.raises(Forbidden):
                await verb


@pytest.mark.parametrize(
    ("kind", "address", "code"),
    [
        ("service", {"url": "http://api.platform.example/"}, "connection_url_invalid"),
        ("service", {"url": "https://127.0.0.1/"}, "connection_address_not_allowed"),
        ("service", {"url": "https://[::ffff:10.0.0.1]/"}, "connection_address_not_allowed"),
        ("service", {"url": "https://user:pass@api.example/"}, "connection_url_invalid"),
        ("service", {"url": "https://api.example/?key=1"}, "connection_url_invalid"),
        ("service", {"url": "https://api.example/?"}, "connection_url_invalid"),
        ("service", {"url": "file:///etc/passwd"}, "connection_url_invalid"),
        ("service", {"settings": {"bucket": "flights"}}, "connection_settings"),
        ("store", {"url": "https://s3.example/flights"}, "connection_url_invalid"),
        ("store", {"settings": {}}, "connection_settings"),
        ("store", {"credential": header()}, "credential_kind"),
        ("service", {"credential": keys()}, "credential_kind"),
    ],
)
async def test_what_is_refused(platform, kind, address, code):
    with pytest.raises(BadInput) as refused:
        await getattr(platform, kind)(**address)
    assert (refused.value.code, refused.value.status_code) == (code, 422)
    made = await getattr(platform, kind)()
    if "credential" not in address:
        good = STORE if kind == "store" else SERVICE
        with pytest.raises(BadInput) as refused:
            await platform.change(made.id, replace(good, **address))
        assert refused.value.code == code


async def test_the_same_idempotency_key_gives_the_first_outcome(platform, exchange):
    made = await platform.service(header(), key="k1")
    assert (await platform.service(header(), key="k1")).id == made.id
    for other in (platform.service(header(OTHER), key="k1"), platform.service(key="k1")):
        with pytest.raises(BadInput, match="another request"):
            await other
    platform.desk = replace(platform.desk, allow=AllowList("", public=False))
    with pytest.raises(BadInput, match="does not allow"):
        await platform.service(header())
    assert (await platform.service(header(), key="k1")).id == made.id  # it was done, and is said
    store, vault = platform.desk.store, platform.desk.vault
    await rotate_master(exchange.ledger, store, vault, operator(exchange))
    assert (await platform.service(header(), key="k1")).id == made.id


async def test_there_is_an_end_to_connections(platform, database):
    made = await platform.service()
    for number in range(MAX_CONNECTIONS - 1):
        database.sql(
            "INSERT INTO connections SELECT ?, org_id, kind, name, url, settings, credential, "
            "replaced_ms, salt, status, rev, created_ms, changed_ms FROM connections WHERE id = ?",
            f"con_{number:026d}",
            made.id,
        )
    with pytest.raises(Conflict, match="at most"):
        await platform.service()


async def test_replacing_at_once_loses_nobodys_word(platform):
    made = await platform.service(header())
    given = [f"{OTHER}-{number}" for number in range(2)]
    await asyncio.gather(*(platform.replace(made.id, header(secret)) for secret in given))
    assert (await platform.opened(made.id)).secret["value"] in given
    assert (await platform.desk.store.own(platform.caller.org_id, made.id)).rev == made.rev + 2
