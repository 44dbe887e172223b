"""Clients of an exchange that a module's tests share; each test has organisations of its own."""

import pytest
import pytest_asyncio

from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.participants.decide_client import decide_client
from exchange.participants.invite_client import (
    invite_client,
    register_invited_client,
)
from exchange.participants.model import PLAIN, Profile
from exchange.participants.register_client import disable_client, register_client
from exchange.participants.secrets import make_secret
from tests.conftest import POSTGRES, SQLITE, own_database
from tests.support.desk import JWKS, World, operator
from tests.support.ledgers import open_exchange


@pytest.fixture(scope="module", params=[SQLITE, POSTGRES])
def database(request, tmp_path_factory):
    """One database for all: what each test makes is of organisations of its own."""
    yield from own_database(request.param, tmp_path_factory.mktemp("clients"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exchange(database):
    async with open_exchange(database) as parts:
        yield parts


@pytest_asyncio.fixture(loop_scope="module")
async def world(exchange):
    made = World(exchange, operator(exchange))
    made.platform, made.sme = await made.join("platform"), await made.join("sme")
    return made


def chain(world):
    return world.parts.ledger, world.parts.participants


async def invite(world, by=None, org_id=None, **more):
    return await invite_client(
        *chain(world), by or world.operator, org_id or world.sme.org_id, **more
    )


async def register(world, token, profile=PLAIN, name="a", jwks=JWKS):
    return await register_invited_client(
        *chain(world), token=token, name=name, jwks=jwks, profile=profile
    )


async def decide(world, client_id, approve, by=None):
    return await decide_client(*chain(world), by or world.operator, client_id, approve=approve)


def some_key():
    return public_jwks(generate_client_key())["keys"][0]


def kinds(log, count):
    return [event["type"].removeprefix("exchange.") for event in log.events[-count:]]


def told(world, log, kind):
    """What the log says of this kind about the test's own SME."""
    return [data for data in log.of(kind) if data["organisation_id"] == world.sme.org_id]


async def with_secret(world):
    made = make_secret(world.parts.secret_key)
    client = await register_client(
        *chain(world),
        world.operator,
        world.sme.org_id,
        name="legacy",
        jwks={"keys": []},
        profile=Profile("client_secret_basic", secret_hash=made.hash),
    )
    return client, made


async def disable(world, client_id):
    return await disable_client(*chain(world), world.operator, client_id)
