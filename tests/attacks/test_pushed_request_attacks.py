"""Attacks on pushed authorization requests (RFC 9126), each by its name: nothing of them is kept.

What would be attacked later, at an authorization endpoint (a `request_uri` used twice, or by
another client than pushed it), comes with that endpoint.
"""
# ruff: noqa: F401, F811 - fixtures are imported by name

import asyncio

import pytest

from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.ledger.commit import ONCE
from tests.unit.oauth.test_tokens import PUSHED
from tests.unit.oauth.world import ISSUER, refused, shared_world, world

OFFERING = "off_" + "0" * 26
EVIL = "https://evil.example"


async def push(world, made=None, **changes):
    """Push a good request with changes; None takes a parameter away."""
    form = world.form(made, **(PUSHED | {"grant_type": None} | changes))
    before = kept(world)
    async with world.http() as http:
        answer = await http.post("/oauth/par", data=form)
    assert "location" not in answer.headers
    assert kept(world) == before + (answer.status_code == 201)
    return answer


def kept(world):
    """How many requests the ledger holds."""
    pushed = ONCE.select().where(ONCE.c.key.startswith("par:"))
    return world.db.read_now(lambda c: len(c.execute(pushed).all()))


async def test_it_works_when_nobody_attacks(world):
    answer = await push(world)
    assert (answer.status_code, answer.json()["expires_in"]) == (201, 90)
    for uri in ("http://127.0.0.1:1234/cb", "http://[::1]/cb", "https://a.example/?c"):
        assert (await push(world, redirect_uri=uri)).status_code == 201


@pytest.mark.parametrize(
    "uri",
    [
        None,
        # a user part that reads like a host
        "http://localhost:80@attacker.example/",
        "http://127.0.0.1@attacker.example/",
        "http://127.0.0.1:80@attacker.example/",
        "https://user:pass@app.example/",
        "https://@app.example/",
        # a host that only begins like this machine, or is it by a name that others answer for
        "http://127.0.0.1.attacker.example/",
        "http://localhost.attacker.example/",
        "http://localhost/",
        "http://[::ffff:10.0.0.1]/",
        # what readers of URLs disagree about
        "https://app.example\\@evil.example/",
        "https://app.example%2f.evil.example/",
        "https://app.example/a b",
        "https://app.example/\u00e9",
        "https://ex\u00e4mple.example/",
        'https://app.example/"',
        "https://app.example/<x>",
        "https://app.example/%zz",
        " https://app.example/",
        "https://[/",
        "https://a:99999/",
        # what is sent along, or is no place on the web
        "https://app.example/#x",
        "https://app.example/#",
        "http://app.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "//app.example/",
        "/back",
    ],
)
async def test_redirect_uri_that_is_not_what_it_seems(world, uri):
    refused(await push(world, redirect_uri=uri), "invalid_request")


async def test_request_uri_that_the_server_would_fetch(world, monkeypatch):
    """RFC 9101: server-side request forgery by a URL; nor is a pushed one taken for another's."""

    def no_way_out(*_args, **_more):
        raise AssertionError("the server went out")

    monkeypatch.setattr("socket.getaddrinfo", no_way_out)
    pushed = (await push(world)).json()["request_uri"]
    for uri in (EVIL, "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", pushed):
        refused(await push(world, request_uri=uri), "invalid_request")


@pytest.mark.parametrize("request_object", ["a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_request_object_beside_the_parameters(world, request_object):
    refused(await push(world, request=request_object), "invalid_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": "short"},
        {"code_challenge": "x" * 44},
    ],
)
async def test_pkce_downgraded(world, changes):
    refused(await push(world, **changes), "invalid_request")


@pytest.mark.parametrize("kind", [None, "token", "id_token", "code token", "none", "CODE"])
async def test_response_type_that_puts_tokens_into_urls_cve_2026_44681_and_28498(world, kind):
    """The implicit and hybrid flows, where both of Authlib's faults are, do not exist here."""
    refused(await push(world, response_type=kind), "unsupported_response_type")


async def test_push_in_the_name_of_another_client(world):
    key = generate_client_key()
    other = await world.add_client(world.org_id, public_jwks(key))
    refused(await push(world, client_id=other))
    thiefs = world.assertion(header={"alg": "ES256", "kid": key["kid"]}, key=key)
    refused(await push(world, thiefs))


async def test_push_by_nobody(world):
    form = {**PUSHED, "client_id": world.client_id}
    async with world.http() as http:
        refused(await http.post("/oauth/par", data=form))
    assert (await push(world)).status_code == 201


async def test_assertion_replayed_at_par(world):
    made = world.assertion()
    assert (await push(world, made)).status_code == 201
    assert "used before" in refused(await push(world, made))


async def test_assertion_replayed_at_par_in_parallel(world):
    form = world.form(**PUSHED, grant_type=None)
    async with world.http() as http:
        answers = await asyncio.gather(*(http.post("/oauth/par", data=form) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 7


async def test_assertion_replayed_from_another_endpoint(world):
    """One that a token was given for is no good here, nor the reverse."""
    made = world.assertion()
    assert (await world.post(made)).status_code == 200
    assert "used before" in refused(await push(world, made))
    made = world.assertion()
    assert (await push(world, made)).status_code == 201
    assert "used before" in refused(await world.post(made))


@pytest.mark.parametrize("audience", [ISSUER + "/oauth/par", EVIL, [ISSUER, EVIL]])
async def test_audience_injection_at_par(world, audience):
    refused(await push(world, world.assertion(aud=audience)))


@pytest.mark.parametrize(
    "details",
    [
        "[]",
        "{}",
        "[[[[",
        f'[{{"type":"dataset","offering":"{OFFERING}","purpose":"x","admin":true}}]',
        f'[{{"type":"everything","offering":"{OFFERING}","purpose":"x"}}]',
        f'[{{"type":"dataset","offering":"{OFFERING}","purpose":"x"}},{{"type":"dataset"}}]',
    ],
)
async def test_unknown_fields_and_widening_in_authorization_details(world, details):
    refused(await push(world, authorization_details=details), "invalid_authorization_details")
