"""The JWT bearer grant (RFC 7523 section 2.1): for those registered so, by the strict rules."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import time
import uuid

import pytest
from joserfc import jwk

from exchange.formats.tokens import public_jwks
from exchange.oauth.assertion import TYPE
from tests.unit.oauth.world import ISSUER, claims_of, forge, shared_world, world

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Theirs:
    """A client registered for the grant, and what delta-sharing's would send for it."""

    def __init__(self, world, key, client_id):
        self.world, self.key, self.client_id = world, key, client_id

    def claims(self, **changes):
        now = int(time.time())
        good = {"aud": ISSUER, "iss": self.client_id, "iat": now, "exp": now + 120}
        good |= {"jti": str(uuid.uuid4()), "scope": "catalog"}
        return {name: value for name, value in (good | changes).items() if value is not ...}

    def signed(self, header=None, key=None, **claims):
        kid = public_jwks(self.key)["keys"][0]["kid"]
        return forge(header or {"alg": "ES256", "kid": kid}, self.claims(**claims), key or self.key)

    async def send(self, assertion, headers=None, **more):
        form = {"grant_type": GRANT_TYPE, "assertion": assertion} | more
        form = {name: value for name, value in form.items() if value is not None}
        async with self.world.http() as http:
            return await http.post("/oauth/token", data=form, headers=headers)


@pytest.fixture
async def theirs(world):
    key = jwk.ECKey.generate_key("P-256").as_dict(private=True)
    client_id = await world.add_client(world.org_id, public_jwks(key), auth_method="jwt_bearer")
    return Theirs(world, key, client_id)


def refused(answer, error="invalid_grant"):
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_its_scope_is_what_the_token_says(world, theirs):
    answer = await theirs.send(theirs.signed(resource=ISSUER))
    assert answer.status_code == 200, answer.text
    claims = claims_of(answer.json()["access_token"])
    assert (claims["client_id"], claims["scope"]) == (theirs.client_id, "catalog")
    assert answer.json()["token_type"] == "Bearer"
    beside = await theirs.send(theirs.signed(scope=...), scope="catalog")
    assert beside.json()["scope"] == "catalog"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://exchange.example/oauth/token"},
        {"aud": [ISSUER]},
        {"aud": [ISSUER, "https://other.example"]},
        {"aud": ...},
        {"iss": ...},
        {"iss": "cli_" + "0" * 26},
        {"iss": ["x"]},
        {"sub": "cli_" + "0" * 26},
        {"sub": None},
        {"jti": ...},
        {"jti": 7},
        {"exp": ...},
        {"exp": 1},
        {"exp": 4_000_000_000},
        {"iat": 4_000_000_000, "exp": 4_000_000_100},
        {"nbf": 4_000_000_000},
        {"scope": ["catalog"]},
        {"scope": ""},
        {"scope": None},
        {"resource": 7},
        {"resource": [ISSUER]},
    ],
    ids=str,
)
async def test_bad_claims(world, theirs, changes):
    refused(await theirs.send(theirs.signed(**changes)))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": "PS256"},
        {"alg": "ES256", "kid": "another"},
        {"alg": "ES256", "kid": None},
        {"alg": "ES256", "jwk": {}},
        {"alg": "ES256", "jku": "https://evil.example/keys"},
        {"alg": "ES256", "x5u": "https://evil.example/keys"},
        {"alg": "ES256", "crit": ["b64"]},
        {"alg": "ES256", "typ": "at+jwt"},
        {"alg": "ES256", "typ": "dpop+jwt"},
    ],
    ids=str,
)
async def test_bad_headers(world, theirs, header):
    refused(await theirs.send(theirs.signed(header)))


async def test_a_stranger_signs(world, theirs):
    stranger = jwk.ECKey.generate_key("P-256").as_dict(private=True)
    refused(await theirs.send(theirs.signed(key=stranger)))


@pytest.mark.parametrize("assertion", ["", "x", "a.b.c", "e30.e30.", "[" * 2000, "x" * 9000])
async def test_no_jwt(world, theirs, assertion):
    refused(await theirs.send(assertion), "invalid_grant" if assertion else "invalid_request")


async def test_used_twice_and_under_another_name(world, theirs):
    signed = theirs.signed()
    assert (await theirs.send(signed)).status_code == 200
    again = await theirs.send(signed)
    assert again.status_code == 400
    assert "used before" in again.json()["error_description"]


async def test_only_those_registered_so_and_they_by_nothing_else(world, theirs):
    """The JWT of the grant is no client assertion, nor the reverse."""
    refused(await theirs.send(world.assertion()))  # a client of private_key_jwt
    as_assertion = theirs.signed(sub=theirs.client_id)
    answer = await world.post(as_assertion)
    assert answer.json()["error"] == "invalid_client"
    # It has not been spent: it failed before.
    assert (await theirs.send(as_assertion)).status_code == 200


async def test_its_key_proves_it_where_tokens_are_given_up_and_asked_about(world, theirs):
    """Beside the token endpoint there is no grant: there it signs assertions as others do."""
    token = (await theirs.send(theirs.signed())).json()["access_token"]
    stranger = jwk.ECKey.generate_key("P-256").as_dict(private=True)

    async def post(path, **changes):
        assertion = theirs.signed(**({"scope": ..., "sub": theirs.client_id} | changes))
        form = {"client_assertion_type": TYPE, "client_assertion": assertion, "token": token}
        async with world.http() as http:
            return await http.post(path, data=form)

    for path in ("/oauth/introspect", "/oauth/revoke"):
        for changes in ({"key": stranger}, {"sub": ...}, {"aud": "https://x.example"}, {"exp": 1}):
            refused(await post(path, **changes), "invalid_client")
    told = await post("/oauth/introspect")
    assert (told.status_code, told.json()["active"]) == (200, True), told.text
    assert (await world.me(token)).status_code == 200
    assert (await post("/oauth/revoke")).status_code == 200
    assert (await world.me(token)).status_code == 401


async def test_what_proved_it_once_does_so_nowhere_again(world, theirs):
    """One JWT that is a grant and an assertion at once is good for one of them."""
    both = theirs.signed(sub=theirs.client_id)
    form = {"client_assertion_type": TYPE, "client_assertion": both, "token": "x"}
    async with world.http() as http:
        assert (await http.post("/oauth/revoke", data=form)).status_code == 200
        refused(await theirs.send(both), "invalid_client")
        other = theirs.signed(sub=theirs.client_id)
        assert (await theirs.send(other)).status_code == 200
        form["client_assertion"] = other
        refused(await http.post("/oauth/revoke", data=form), "invalid_client")


@pytest.mark.parametrize(
    "more",
    [
        {"client_secret": "x"},
        {"client_assertion": "x"},
        {"client_assertion_type": "x"},
        {"scope": "catalog"},
        {"assertion": None},
    ],
    ids=str,
)
async def test_one_way_of_saying_a_thing(world, theirs, more):
    refused(await theirs.send(**{"assertion": theirs.signed(), **more}), "invalid_request")


async def test_no_header_beside_it(world, theirs):
    for value in ("Basic eDp5", "Bearer x"):
        answer = await theirs.send(theirs.signed(), headers={"Authorization": value})
        refused(answer, "invalid_request")


async def test_another_client_id_beside_it(world, theirs):
    refused(await theirs.send(theirs.signed(), client_id=world.client_id))
    assert (await theirs.send(theirs.signed(), client_id=theirs.client_id)).status_code == 200


async def test_no_more_than_the_roles_and_no_other_audience(world, theirs):
    refused(await theirs.send(theirs.signed(scope="operate")), "invalid_scope")
    elsewhere = theirs.signed(resource="https://other.example")
    refused(await theirs.send(elsewhere), "invalid_target")


@pytest.mark.parametrize("status", ["disabled", "pending", "rejected"])
async def test_a_client_that_may_not_act(world, status):
    key = jwk.ECKey.generate_key("P-256").as_dict(private=True)
    how = {"auth_method": "jwt_bearer", "status": status}
    client_id = await world.add_client(world.org_id, public_jwks(key), **how)
    made = Theirs(world, key, client_id)
    refused(await made.send(made.signed()))


async def test_a_client_bound_to_a_key_needs_its_proof(world):
    key = jwk.ECKey.generate_key("P-256").as_dict(private=True)
    how = {"auth_method": "jwt_bearer", "dpop_bound": True}
    client_id = await world.add_client(world.org_id, public_jwks(key), **how)
    made = Theirs(world, key, client_id)
    refused(await made.send(made.signed()), "invalid_dpop_proof")
