"""Attacks by size, shape and request on the token endpoint; none may end in a token or a 500."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import json
import time

import pytest

from tests.unit.oauth.world import ISSUER, b64, claims_of, forge, refused, shared_world, world

EVIL = "https://evil.example"


# -- Sizes and shapes -------------------------------------------------------------------------


async def test_huge_header_cve_2025_61920(world):
    """CVE-2025-61920: a header of megabytes was decoded before anything was checked."""
    header = {"alg": "ES256", "kid": "k" * 20_000}
    refused(await world.post(world.assertion(header=header)))
    refused(await world.post(b64(b"x" * 2_000_000) + ".e30.e30"), "invalid_request")


async def test_huge_payload(world):
    refused(await world.post(world.assertion(padding="x" * 10_000)))


async def test_huge_form_is_read_no_further_than_its_bound(world):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 50_000_000:
            sent += 65_536
            yield b"a" * 65_536

    async with world.http() as http:
        answer = await http.post(
            "/oauth/token",
            content=endless(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    refused(answer, "invalid_request")
    assert sent < 1_000_000


async def test_p2c_bomb_cve_2026_27932(world):
    """Key derivation with a huge count is a JWE's: five parts, or a header that we do not read."""
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_147_483_647, "p2s": "c2FsdA"}
    started = time.perf_counter()
    refused(await world.post(f"{b64(header)}.e30.e30.e30.e30"))
    refused(await world.post(forge({**header, "alg": "ES256"}, world.claims(), world.client_key)))
    assert time.perf_counter() - started < 10  # it would take minutes


@pytest.mark.parametrize("depth", [500, 1000, 1900, 2500])
async def test_nested_json_bomb(world, depth):
    """2,000 levels raised RecursionError in Authlib: a 500 without authentication."""
    arrays = b"[" * depth + b"]" * depth
    objects = (b'{"a":' * (depth // 3)) + b"1" + b"}" * (depth // 3)
    for bomb in (arrays, objects, b"[" * depth, b'{"sub":' + arrays + b"}"):
        # Signed, and within the bound on size: nothing but the nesting is wrong.
        in_header = forge(bomb, world.claims(), world.client_key)
        in_claims = forge({"alg": "ES256"}, bomb, world.client_key)
        assert max(len(in_header), len(in_claims)) < 8192
        refused(await world.post(in_header))
        refused(await world.post(in_claims))


async def test_nested_json_in_a_signed_assertion(world):
    nested = []
    for _ in range(300):
        nested = [nested]
    answer = await world.post(world.assertion(extra=nested))
    assert answer.status_code in (200, 400)


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b"1", b'"sub"', b"\xff\xfe", b'{"sub":"a","sub":"b"}', b'{"exp":NaN}'],
)
async def test_payload_that_is_no_object(world, payload):
    header = {"alg": "ES256", "kid": world.client_key["kid"]}
    refused(await world.post(forge(header, payload, world.client_key)))


@pytest.mark.parametrize(
    "text",
    ["x", "..", "a.b", "a.b.c.d", "é.é.é", "e30.e30.e30", "e30=.e30.", " . . ", "\u202e" * 9],
)
async def test_what_is_no_jws(world, text):
    refused(await world.post(text))


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "jti"])
async def test_a_claim_is_missing_or_of_the_wrong_type(world, name):
    refused(await world.post(world.assertion(**{name: None})))
    for value in (True, 1.5, [], {}, [ISSUER], "", "\ud800", "a\x00b", 10**400, -1):
        refused(await world.post(world.assertion(**{name: value})))


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("value", ["now", 1.5, True, [], 0, -1, 2**62])
async def test_optional_times_must_still_be_times(world, name, value):
    refused(await world.post(world.assertion(**{name: value})))


# -- The form ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["grant_type", "scope", "client_assertion", "client_assertion_type", "client_id", "other"],
)
async def test_duplicate_parameters(world, name):
    form = world.form(scope="catalog", client_id=world.client_id, other="x")
    pairs = [*form.items(), (name, form[name])]
    body = "&".join(f"{key}={value}" for key, value in pairs)
    async with world.http() as http:
        answer = await http.post(
            "/oauth/token",
            content=body,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    refused(answer, "invalid_request")


async def test_unknown_parameters_are_ignored(world):
    assert (await world.post(audience=EVIL, foo="bar")).status_code == 200


async def test_audience_asked_for_by_parameter_changes_nothing(world):
    token = (await world.post(audience=EVIL)).json()["access_token"]
    assert claims_of(token)["aud"] == ISSUER


async def test_a_token_for_another_resource(world):
    """RFC 8707: one that is not served here would be a token to replay elsewhere."""
    for resource in (EVIL, f"{ISSUER}/", f"{ISSUER}/gateway", ISSUER.upper()):
        refused(await world.post(resource=resource), "invalid_target")
    token = (await world.post(resource=ISSUER)).json()["access_token"]
    assert claims_of(token)["aud"] == ISSUER


@pytest.mark.parametrize(
    "changes",
    [
        {"grant_type": None},
        {"client_secret": "x"},
    ],
)
async def test_malformed_requests(world, changes):
    refused(await world.post(**changes), "invalid_request")


@pytest.mark.parametrize(
    "grant_type", ["password", "authorization_code", "refresh_token", "<b>", "用途"]
)
async def test_other_grant_types(world, grant_type):
    words = refused(await world.post(grant_type=grant_type), "unsupported_grant_type")
    assert grant_type not in words


@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion": None},
        {"client_assertion_type": None},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_assertion": None, "client_assertion_type": None, "client_id": "x"},
    ],
)
async def test_no_authentication(world, changes):
    form = {name: value for name, value in (world.form() | changes).items() if value is not None}
    async with world.http() as http:
        refused(await http.post("/oauth/token", data=form))


async def test_credentials_in_a_header_or_the_query_are_not_taken(world):
    async with world.http() as http:
        basic = await http.post("/oauth/token", data=world.form(), auth=(world.client_id, "x"))
        as_form = {"Content-Type": "application/x-www-form-urlencoded"}
        query = await http.post("/oauth/token", params=world.form())
        empty = await http.post("/oauth/token", params=world.form(), headers=as_form)
        both = await http.post("/oauth/token", params=world.form(), data={"a": "b"})
        own = {**world.form(), "client_assertion": ""}
        alone = await http.post("/oauth/token", data=own, auth=(world.client_id, "x"))
    refused(basic, "invalid_request")  # two ways at once
    assert (alone.status_code, alone.json()["error"]) == (401, "invalid_client")
    assert alone.headers["www-authenticate"].startswith("Basic ")
    refused(query, "invalid_request")
    refused(empty)  # a form without a word in it
    refused(both)


@pytest.mark.parametrize(
    "media", ["application/json", "text/plain", "multipart/form-data; boundary=x"]
)
async def test_multipart_and_other_content_types_cve_2026_40347_and_42561(world, media):
    async with world.http() as http:
        answer = await http.post(
            "/oauth/token", content=json.dumps(world.form()), headers={"Content-Type": media}
        )
    refused(answer, "invalid_request")


async def test_forged_host_header_cve_2026_48710(world):
    """A forged Host passed in a prototype; issuer and audience come from settings only."""
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http",
        "Origin": EVIL,
    }
    async with world.http() as http:
        answer = await http.post("/oauth/token", data=world.form(), headers=forged)
        metadata = await http.get("/.well-known/oauth-authorization-server", headers=forged)
        evil = world.form(world.assertion(aud=EVIL))
        refused(await http.post("/oauth/token", data=evil, headers=forged))
    claims = claims_of(answer.json()["access_token"])
    assert claims["iss"] == claims["aud"] == ISSUER
    assert "evil" not in metadata.text
    assert metadata.json()["issuer"] == ISSUER
