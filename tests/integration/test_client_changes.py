"""What changes of a client on one worker holds at once on the other, whose cache knew it before."""

import asyncio
import base64

import pytest
import pytest_asyncio

from exchange.formats.jwk import thumbprint
from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.participants.change_client import add_key, remove_key, replace_secret
from exchange.participants.decide_client import decide_client
from exchange.participants.invite_client import invite_client, register_invited_client
from exchange.participants.model import PLAIN, Profile
from exchange.participants.register_client import disable_client, register_client
from exchange.participants.secrets import make_secret
from tests.support.desk import KEY, World, operator
from tests.support.judge import judge
from tests.support.ledgers import OwnDatabase
from tests.support.token_requests import Program
from tests.support.web import serve

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]
NEW = generate_client_key()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory):
    database = OwnDatabase("postgres", tmp_path_factory.mktemp("clients") / "state")
    async with serve(database) as here, serve(database) as there:
        world = World(here.parts, operator(here.parts))
        world.sme = await world.join("sme")
        yield database, world, here, there
    database.remove()


def chain(world):
    return world.parts.ledger, world.parts.participants, world.operator


async def ask(web, client_id, key):
    program = Program(web.http, web.parts.settings.issuer_url, client_id, key)
    return (await program.ask(bound=False)).json().get("error", "a token")


async def by_secret(web, client_id, secret):
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    form, headers = {"grant_type": "client_credentials"}, {"Authorization": f"Basic {pair}"}
    answer = await web.http.post("/oauth/token", data=form, headers=headers)
    return answer.json().get("error", "a token")


async def test_a_removed_key_is_refused_on_both(place):
    database, world, here, there = place
    client_id = world.sme.client_id
    assert [await ask(web, client_id, KEY) for web in (here, there)] == ["a token"] * 2
    await add_key(*chain(world), client_id, public_jwks(NEW)["keys"][0])
    assert [await ask(web, client_id, NEW) for web in (there, here)] == ["a token"] * 2
    assert await ask(there, client_id, KEY) == "a token"
    await remove_key(*chain(world), client_id, thumbprint(public_jwks(KEY)["keys"][0]))
    assert [await ask(web, client_id, KEY) for web in (there, here)] == ["invalid_client"] * 2
    assert [await ask(web, client_id, NEW) for web in (there, here)] == ["a token"] * 2
    judge(database.sql)


async def test_a_replaced_secret_is_refused_on_both(place):
    database, world, here, there = place
    first, second = (make_secret(here.parts.secret_key) for _ in range(2))
    profile = Profile("client_secret_basic", secret_hash=first.hash)
    legacy = await register_client(
        *chain(world), world.sme.org_id, name="legacy", jwks={"keys": []}, profile=profile
    )
    both = (there, here)
    assert [await by_secret(web, legacy.id, first.text) for web in both] == ["a token"] * 2
    await replace_secret(*chain(world), legacy.id, second)
    assert [await by_secret(web, legacy.id, first.text) for web in both] == ["invalid_client"] * 2
    assert [await by_secret(web, legacy.id, second.text) for web in both] == ["a token"] * 2
    judge(database.sql)


async def test_pending_approved_and_disabled_are_known_on_both(place):
    database, world, here, there = place
    _, token = await invite_client(*chain(world), world.sme.org_id)
    client = await register_invited_client(
        *chain(world)[:2], token=token, name="a", jwks=public_jwks(NEW), profile=PLAIN
    )
    both = (there, here)
    assert [await ask(web, client.id, NEW) for web in both] == ["invalid_client"] * 2
    await decide_client(*chain(world), client.id, approve=True)
    assert [await ask(web, client.id, NEW) for web in both] == ["a token"] * 2
    await disable_client(*chain(world), client.id)
    assert [await ask(web, client.id, NEW) for web in both] == ["invalid_client"] * 2
    judge(database.sql)


async def test_an_invitation_used_on_both_at_once_makes_one_client(place):
    database, world, here, there = place
    for _ in range(5):
        _, token = await invite_client(*chain(world), world.sme.org_id)
        before = len(await here.parts.participants.list_clients(world.sme.org_id))
        headers = {"Authorization": f"Bearer {token}"}
        body = {"jwks": public_jwks(generate_client_key())}
        answers = await asyncio.gather(
            *[
                web.http.post("/oauth/register", json=body, headers=headers)
                for web in (here, there, here, there)
            ]
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses[0] == 201, [answer.text for answer in answers]
        assert set(statuses[1:]) <= {401, 503}
        assert len(await here.parts.participants.list_clients(world.sme.org_id)) == before + 1
    judge(database.sql)
