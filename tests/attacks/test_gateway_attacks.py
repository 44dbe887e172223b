"""Attacks on the gateway: each ends in a refusal, with no byte of data and no use recorded."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from joserfc import jwk, jwt

from tests.unit.connectors.attacked import (
    NAME,
    code,
    make_attacked,
    nothing_left,
)
from tests.unit.connectors.world import (
    AUDIENCE,
    GRANT,
    ISSUER,
    OTHER_GRANT,
    Issuer,
    World,
    named,
    url,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await make_attacked(tmp_path)
    yield made
    made.files.close()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        yield client


async def refused(
    world: World, http: httpx.AsyncClient, token: str, status: int, expected: str
) -> None:
    """Neither list, nor head, nor data under this token."""
    headers = {"Authorization": f"Bearer {token}"}
    for method, address in [("GET", f"/gateway/grants/{GRANT}"), ("GET", url(NAME))]:
        answer = await http.request(method, address, headers=headers)
        assert (answer.status_code, code(answer)) == (status, expected)
        nothing_left(world, answer)
    assert (await http.head(url(NAME), headers=headers)).status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


# Tokens


async def test_no_token(world: World, http: httpx.AsyncClient) -> None:
    answer = await http.get(url(NAME))
    assert (answer.status_code, code(answer)) == (401, "token_missing")
    assert answer.headers["www-authenticate"] == 'DPoP algs="ES256 Ed25519 EdDSA PS256", Bearer'
    nothing_left(world, answer)


async def test_token_for_another_grant(world: World, http: httpx.AsyncClient) -> None:
    world.door.grants[OTHER_GRANT] = replace(world.door.grants[GRANT], grant_id=OTHER_GRANT)
    token = world.issuer.token(OTHER_GRANT)
    await refused(world, http, token, 403, "token_for_another_grant")


async def test_a_foreign_token_does_not_tell_whether_a_grant_exists(
    world: World, http: httpx.AsyncClient
) -> None:
    headers = {"Authorization": f"Bearer {world.issuer.token(OTHER_GRANT)}"}
    there = await http.get(url(NAME), headers=headers)
    world.door.grants.clear()
    gone = await http.get(url(NAME), headers=headers)
    assert there.content == gone.content


async def test_token_for_another_connector(world: World, http: httpx.AsyncClient) -> None:
    for audience in ["https://other.example/gateway", ISSUER, AUDIENCE + "/", [AUDIENCE]]:
        token = world.issuer.token(aud=audience)
        await refused(world, http, token, 401, "token_audience_wrong")


async def test_token_for_an_audience_taken_from_the_host_header(
    world: World, http: httpx.AsyncClient
) -> None:
    token = world.issuer.token(aud="http://evil.example/gateway")
    headers = {"Authorization": f"Bearer {token}", "Host": "evil.example"}
    answer = await http.get(url(NAME), headers=headers)
    assert code(answer) == "token_audience_wrong"
    nothing_left(world, answer)


async def test_token_of_another_client(world: World, http: httpx.AsyncClient) -> None:
    other = world.issuer.token(client_id="cli_" + "9" * 26, sub="cli_" + "9" * 26)
    await refused(world, http, other, 403, "token_for_another_client")


async def test_token_of_the_client_moved_to_another_organisation(
    world: World, http: httpx.AsyncClient
) -> None:
    token = world.issuer.token(org_id="org_" + "9" * 26)
    await refused(world, http, token, 403, "token_for_another_client")


async def test_expired_token(world: World, http: httpx.AsyncClient) -> None:
    now = int(time.time())
    token = world.issuer.token(iat=now - 300, exp=now - 1)
    await refused(world, http, token, 401, "token_expired")


async def test_token_of_another_issuer(world: World, http: httpx.AsyncClient) -> None:
    token = world.issuer.token(iss="https://evil.example")
    await refused(world, http, token, 401, "token_issuer_wrong")
    await refused(world, http, Issuer().token(), 401, "token_key_unknown")


async def test_token_signed_by_another_key_under_a_known_kid(
    world: World, http: httpx.AsyncClient
) -> None:
    evil = Issuer()
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    header = {"alg": "ES256", "typ": "at+jwt", "kid": world.issuer.key.thumbprint()}
    forged = jwt.encode(header, claims, evil.key)
    await refused(world, http, forged, 401, "token_signature_wrong")


def unsigned(header: dict[str, object], claims: dict[str, object]) -> str:
    parts = [json.dumps(each).encode() for each in (header, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


async def test_token_with_alg_none(world: World, http: httpx.AsyncClient) -> None:
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    body = unsigned({"alg": "none", "typ": "at+jwt"}, claims)
    await refused(world, http, body + ".", 401, "token_malformed")
    await refused(world, http, body + ".AAAA", 401, "token_header_refused")


async def test_token_signed_with_the_public_key_as_secret(
    world: World, http: httpx.AsyncClient
) -> None:
    kid = world.issuer.key.thumbprint()
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    body = unsigned({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims)
    secret = world.issuer.key.as_pem(private=False)
    signature = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    token = f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    await refused(world, http, token, 401, "token_header_refused")


async def test_token_that_brings_its_own_key(world: World, http: httpx.AsyncClient) -> None:
    own = jwk.ECKey.generate_key("P-256", private=True)
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    header = {"alg": "ES256", "typ": "at+jwt", "jwk": own.as_dict(private=False)}
    await refused(world, http, jwt.encode(header, claims, own), 401, "token_header_refused")


async def test_token_for_the_api_is_no_token_for_a_delivery(
    world: World, http: httpx.AsyncClient
) -> None:
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    del claims["grant_id"]
    header = {"alg": "ES256", "typ": "at+jwt", "kid": world.issuer.key.thumbprint()}
    token = jwt.encode(header, {**claims, "scope": "read"}, world.issuer.key)
    await refused(world, http, token, 401, "token_kind_wrong")


@pytest.mark.parametrize(
    "token",
    ["x", "a.b.c", "..", "A" * 100_000, "[[[[.[[[[.[[[[", "\u00e9.\u00e9.\u00e9"],
    ids=ascii,
)
async def test_token_that_is_none(world: World, http: httpx.AsyncClient, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
    answer = await http.get(url(NAME), headers=headers)
    assert (answer.status_code, code(answer)) == (401, "token_malformed")


async def test_token_in_the_url_a_form_or_a_cookie_is_not_looked_at(
    world: World, http: httpx.AsyncClient
) -> None:
    token = world.issuer.token()
    for answer in [
        await http.get(url(NAME), params={"access_token": token}),
        await http.get(url(NAME), headers={"Cookie": f"access_token={token}"}),
        await http.request("GET", url(NAME), data={"access_token": token}),
    ]:
        assert (answer.status_code, code(answer)) == (401, "token_missing")
        nothing_left(world, answer)


async def test_two_authorization_headers(world: World, http: httpx.AsyncClient) -> None:
    good = world.bearer()["Authorization"]
    for pair in [(good, good), (good, "Bearer x"), ("Basic eDp5", good)]:
        answer = await http.get(url(NAME), headers=[("Authorization", each) for each in pair])
        assert (answer.status_code, code(answer)) == (401, "token_malformed")
        nothing_left(world, answer)


# The grant


@pytest.mark.parametrize("status", ["revoked", "suspended", "ended"])
async def test_grant_that_ends_between_look_up_and_record(
    world: World, http: httpx.AsyncClient, status: str
) -> None:
    world.door.before_record = lambda: world.door.change(status=status)
    answer = await http.get(url(NAME), headers=world.bearer())
    assert (answer.status_code, code(answer)) == (403, f"grant_{status}")
    nothing_left(world, answer)


async def test_grant_that_is_revoked_while_the_file_is_opened(
    world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = world.files.open

    async def slow(*asked):
        world.door.change(status="revoked")
        return await real(*asked)

    monkeypatch.setattr(world.files, "open", slow)
    answer = await http.get(url(NAME), headers=world.bearer())
    assert (answer.status_code, code(answer)) == (403, "grant_revoked")
    nothing_left(world, answer)


async def test_exchange_that_dies_between_look_up_and_record(
    world: World, http: httpx.AsyncClient
) -> None:
    world.door.before_record = lambda: world.door.away.add("record")
    answer = await http.get(url(NAME), headers=world.bearer())
    assert answer.status_code == 503
    nothing_left(world, answer)


async def test_revoked_grant_does_not_confirm_a_version(
    world: World, http: httpx.AsyncClient
) -> None:
    world.door.change(status="revoked")
    known = f'"{named(world, NAME).sha256}"'
    for condition in [{"If-None-Match": known}, {"If-Match": '"x"'}, {"Range": "bytes=99999-"}]:
        answer = await http.get(url(NAME), headers={**world.bearer(), **condition})
        assert (answer.status_code, code(answer)) == (403, "grant_revoked")


async def test_unknown_obligation(world: World, http: httpx.AsyncClient) -> None:
    world.door.change(obligations={"days": 30, "watermark": True})
    await refused(world, http, world.issuer.token(), 403, "obligation_unknown")


async def test_head_and_conditions_cannot_fetch_data_unrecorded(
    world: World, http: httpx.AsyncClient
) -> None:
    for method, extra in [
        ("HEAD", {}),
        ("HEAD", {"Range": "bytes=0-10"}),
        ("GET", {"If-None-Match": "*"}),
        ("GET", {"If-None-Match": f'"{named(world, NAME).sha256}"', "Range": "bytes=0-10"}),
    ]:
        answer = await http.request(method, url(NAME), headers={**world.bearer(), **extra})
        assert answer.content == b""
        nothing_left(world, answer)


async def test_other_methods_deliver_nothing(world: World, http: httpx.AsyncClient) -> None:
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"]:
        answer = await http.request(method, url(NAME), headers=world.bearer())
        assert answer.status_code == 405
        nothing_left(world, answer)
    override = {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"}
    assert (await http.head(url(NAME), headers={**world.bearer(), **override})).content == b""
