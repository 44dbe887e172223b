"""A client that is disabled while its request is under way changes nothing any more."""

import asyncio

import pytest

from exchange.access.model import Ask
from exchange.access.request_access import request_access
from exchange.access.revoke_grant import revoke_grant
from exchange.catalog.model import terms_of
from exchange.catalog.publish_offering import (
    draft_offering,
    publish_offering,
    revise_offering,
    withdraw_offering,
)
from exchange.errors import Unavailable
from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.http import Caller
from exchange.ledger.write import Stale
from exchange.mounted_gateway import MountedSources
from exchange.participants.register_client import disable_client, register_client
from exchange.participants.register_organisation import register_organisation, set_attribute
from exchange.parts import open_parts
from exchange.settings import Settings
from tests.support.actors import SME_ATTRIBUTES, TERMS

OPERATOR = Caller("cli_nobody", "org_nobody", frozenset({"operator"}), frozenset())


@pytest.fixture
async def parts(tmp_path):
    opened = await open_parts(Settings(state_dir=tmp_path / "state"))
    yield opened
    await opened.close()


async def organisation(parts, role):
    made = await register_organisation(
        parts.ledger,
        parts.participants,
        OPERATOR,
        name_en="x",
        name_zh="x",
        roles=frozenset({role}),
        attributes={name: (value, "verified") for name, value in SME_ATTRIBUTES.items()},
    )
    client = await register_client(
        parts.ledger,
        parts.participants,
        OPERATOR,
        made.id,
        name="c",
        jwks=public_jwks(generate_client_key()),
    )
    return Caller(client.id, made.id, frozenset({role}), frozenset(), client.rev)


async def content():
    yield b"0123456789"


@pytest.mark.parametrize(
    "verb", ["register_client", "set_attribute", "draft", "publish", "revise", "withdraw"]
)
async def test_a_disabled_client_changes_nothing(parts, verb):
    ledger, catalog = parts.ledger, parts.catalog
    caller = await organisation(parts, "platform")
    sources = MountedSources(parts.files, parts.s3, 1000)
    await sources.store(caller.org_id, "data.bin", content())
    more = {"description_en": "", "description_zh": "", "sizes": ["micro"], "max_sessions": None}
    terms = terms_of(TERMS | more)
    offering = await draft_offering(ledger, catalog, caller, terms)
    if verb in ("revise", "withdraw"):
        offering = await publish_offering(
            ledger, catalog, parts.participants, sources, caller, offering.id
        )
    await disable_client(ledger, parts.participants, OPERATOR, caller.client_id)
    size = await ledger.size()
    with pytest.raises((Unavailable, Stale)):
        if verb == "register_client":
            await register_client(
                ledger,
                parts.participants,
                caller,
                caller.org_id,
                name="heir",
                jwks=public_jwks(generate_client_key()),
            )
        elif verb == "set_attribute":
            await set_attribute(
                ledger, parts.participants, caller, caller.org_id, "headcount", 1, "self_declared"
            )
        elif verb == "draft":
            await draft_offering(ledger, catalog, caller, terms)
        elif verb == "publish":
            await publish_offering(
                ledger, catalog, parts.participants, sources, caller, offering.id
            )
        elif verb == "revise":
            await revise_offering(ledger, catalog, sources, caller, offering.id, terms)
        else:
            await withdraw_offering(ledger, catalog, caller, offering.id)
    assert await ledger.size() == size
    assert (await catalog.offering(offering.id)).rev == offering.rev


async def test_a_disabled_platform_revokes_nothing(parts):
    platform, sme = await organisation(parts, "platform"), await organisation(parts, "sme")
    sources = MountedSources(parts.files, parts.s3, 1000)
    await sources.store(platform.org_id, "data.bin", content())
    more = {"description_en": "", "description_zh": "", "sizes": ["micro", "small"]}
    terms = terms_of(TERMS | more | {"max_sessions": None})
    draft = await draft_offering(parts.ledger, parts.catalog, platform, terms)
    await publish_offering(
        parts.ledger, parts.catalog, parts.participants, sources, platform, draft.id
    )
    answer = await request_access(
        parts.desk, sme, Ask(draft.id, "logistics_planning", ("read",), 30)
    )
    await disable_client(parts.ledger, parts.participants, OPERATOR, platform.client_id)
    with pytest.raises(Unavailable):
        await revoke_grant(parts.ledger, parts.store, platform, answer.grant.id, "other")
    assert (await parts.store.grant(answer.grant.id)).status == "active"


async def test_disabling_in_parallel_is_one_leaf(parts):
    caller = await organisation(parts, "platform")
    size = await parts.ledger.size()
    await asyncio.gather(
        *[
            disable_client(parts.ledger, parts.participants, OPERATOR, caller.client_id)
            for _ in range(24)
        ]
    )
    assert await parts.ledger.size() == size + 1
