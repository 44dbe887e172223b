"""Clients by a secret (RFC 6749 section 2.3.1): for those registered so, and nobody else."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import base64
import hashlib
from urllib.parse import quote_plus

import pytest

from exchange.formats.tokens import public_jwks
from exchange.ids import new_id
from exchange.participants.model import Client
from exchange.participants.secrets import SecretKey, make_secret, secret_fits
from tests.unit.oauth.world import refused, shared_world, world

SECRET = "dsx_correct horse+battery%staple"
FORM = {"grant_type": "client_credentials"}


@pytest.fixture
async def basic(world):
    return await _with_secret(world, "client_secret_basic")


@pytest.fixture
async def post(world):
    return await _with_secret(world, "client_secret_post")


async def _with_secret(world, method, **more):
    jwks = public_jwks(world.client_key)
    kept = {"auth_method": method, "secret_hash": f"hash of {SECRET}"}
    return await world.add_client(world.org_id, jwks, **kept, **more)


async def by_header(world, name, secret, form=FORM, *, encoded=True):
    pair = f"{quote_plus(name)}:{quote_plus(secret)}" if encoded else f"{name}:{secret}"
    header = "Basic " + base64.b64encode(pair.encode()).decode()
    async with world.http() as http:
        return await http.post("/oauth/token", data=form, headers={"Authorization": header})


async def by_form(world, name, secret):
    async with world.http() as http:
        form = {**FORM, "client_id": name, "client_secret": secret}
        return await http.post("/oauth/token", data=form)


async def test_each_by_its_way_and_no_other(world, basic, post):
    assert (await by_header(world, basic, SECRET)).status_code == 200
    assert (await by_form(world, post, SECRET)).status_code == 200
    refused(await by_form(world, basic, SECRET))
    assert (await by_header(world, post, SECRET)).status_code == 401


async def test_a_client_of_keys_has_no_secret_and_the_reverse(world, basic):
    assert (await by_header(world, world.client_id, SECRET)).status_code == 401
    refused(await by_form(world, world.client_id, ""))
    refused(await world.post(world.assertion(iss=basic, sub=basic)))


@pytest.mark.parametrize("secret", ["", "x", SECRET + " ", SECRET.upper(), "x" * 600, "\x00"])
async def test_wrong_secrets(world, basic, post, secret):
    answer = await by_header(world, basic, secret)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert SECRET not in answer.text
    answer = await by_form(world, post, secret)
    assert (answer.status_code, "access_token" in answer.json()) == (400, False)


async def test_an_unknown_client_is_not_told_apart(world, basic):
    unknown = await by_header(world, new_id("cli"), SECRET)
    wrong = await by_header(world, basic, "wrong")
    assert unknown.json() == wrong.json()


@pytest.mark.parametrize("status", ["disabled", "pending", "rejected"])
async def test_a_client_that_may_not_act(world, status):
    client = await _with_secret(world, "client_secret_basic", status=status)
    answer = await by_header(world, client, SECRET)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_two_ways_at_once(world, basic):
    for form in (
        {**FORM, "client_secret": SECRET},
        {**FORM, "client_assertion": world.assertion()},
        {**FORM, "client_id": world.client_id},
    ):
        refused(await by_header(world, basic, SECRET, form), "invalid_request")


@pytest.mark.parametrize(
    "header", ["Basic", "Basic ", "Basic !!!!", "Basic Og==", "Basic Y2xpXw==", "Bearer x", "Négo"]
)
async def test_headers_that_are_none(world, header):
    async with world.http() as http:
        sent = {"Authorization": header.encode("latin-1")}
        answer = await http.post("/oauth/token", data=FORM, headers=sent)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_no_secret_is_logged_or_shown(world, basic, caplog):
    caplog.set_level("DEBUG")
    await by_header(world, basic, SECRET)
    await by_form(world, basic, SECRET)
    assert SECRET not in caplog.text
    client = await world.participants.client(basic)
    assert "hash of" not in repr(client)


async def test_a_database_that_leaks_verifies_no_guess(world):
    """What is kept is an HMAC: whoever has the rows, and not the key, can try no guess."""
    key, another = SecretKey(b"k" * 32), SecretKey(b"K" * 32)
    made = make_secret(key)
    client_id = await world.add_client(world.org_id, {"keys": []}, unchecked=True, **kept(made))
    client = await world.participants.client(client_id)
    assert isinstance(client, Client)
    assert secret_fits(client, made.text, key)
    for right in (client.secret_hash, made.hash, f"{made.text} ", ""):
        assert not secret_fits(client, right, key)
    assert not secret_fits(client, made.text, another)  # the hash alone decides nothing
    told = (made.text, "exchange client secret " + made.text)
    for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"):
        assert client.secret_hash not in {
            hashlib.new(name, each.encode()).hexdigest() for each in told
        }
    assert made.text not in repr(made) + str(client.secret_hash)


def kept(made):
    return {"auth_method": "client_secret_basic", "secret_hash": made.hash}


def test_secrets_are_256_bits_and_never_alike():
    made = {make_secret(SecretKey(b"k" * 32)).text for _ in range(200)}
    assert len(made) == 200
    assert {len(each) for each in made} == {len("dsx_") + 43}
