"""A token ends with the key or the secret that got it, on both databases."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import base64

from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.participants.change_client import add_key, remove_key, replace_secret
from exchange.participants.secrets import make_secret
from tests.support.clients import chain, with_secret
from tests.support.desk import KEY
from tests.support.token_requests import Program
from tests.support.web_world import web, world
from tests.unit.oauth.world import claims_of

REMOVED = "urn:exchange:problem:client_key_removed"


async def shown(web, program, token, path):
    return await web.http.get(path, headers=program.shows(token, "GET", path))


async def test_removing_a_key_ends_the_tokens_it_got_and_no_others(web, world):
    issuer, client_id = web.parts.settings.issuer_url, world.sme.client_id
    first = Program(web.http, issuer, client_id, KEY)
    fresh = generate_client_key()
    await add_key(*chain(world), world.sme, client_id, public_jwks(fresh)["keys"][0])
    second = Program(web.http, issuer, client_id, fresh)
    grant = (await world.ask()).grant
    data = f"/gateway/grants/{grant.id}/files/data.bin"
    held = []
    for program in (first, second):
        api = (await program.ask()).json()["access_token"]
        delivery = (await program.ask(scope=f"grant:{grant.id}")).json()["access_token"]
        held.append((program, api, delivery))
        assert (await shown(web, program, api, "/v1/me")).status_code == 200
        assert (await shown(web, program, delivery, data)).status_code == 200
    stolen = claims_of(held[0][1])["client_key"]
    await remove_key(*chain(world), world.sme, client_id, stolen)
    for program, api, delivery in held:
        answers = [await shown(web, program, api, "/v1/me")]
        answers.append(await shown(web, program, delivery, data))
        asked = [second.form(token=token) for token in (api, delivery)]
        told = [(await web.http.post("/oauth/introspect", data=form)).json() for form in asked]
        assert [each["active"] for each in told] == [program is second] * 2
        if program is second:
            assert [answer.status_code for answer in answers] == [200, 200]
        else:
            assert [answer.status_code for answer in answers] == [401, 401]
            assert {answer.json()["type"] for answer in answers} == {REMOVED}


async def test_a_new_secret_ends_the_tokens_of_the_old_one(web, world):
    client, first = await with_secret(world)
    held = await by_secret(web, client.id, first.text)
    assert (await web.http.get("/v1/me", headers=held)).status_code == 200
    second = make_secret(world.parts.secret_key)
    await replace_secret(*chain(world), world.operator, client.id, second)
    answer = await web.http.get("/v1/me", headers=held)
    assert (answer.status_code, answer.json()["type"]) == (401, REMOVED)
    held = await by_secret(web, client.id, second.text)
    assert (await web.http.get("/v1/me", headers=held)).status_code == 200


async def by_secret(web, client_id, secret):
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    sent = {"Authorization": f"Basic {basic}"}
    form = {"grant_type": "client_credentials"}
    told = (await web.http.post("/oauth/token", data=form, headers=sent)).json()
    return {"Authorization": f"Bearer {told['access_token']}"}
