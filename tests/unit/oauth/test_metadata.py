"""The metadata is right by another implementation's reading, and made of settings only."""

import httpx
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from fastapi import FastAPI

from exchange.errors import StartUpError
from exchange.oauth.api.token import router
from exchange.oauth.metadata import server_metadata
from exchange.settings import Settings


def test_authlib_finds_it_valid():
    document = server_metadata(Settings(issuer="https://exchange.example/"))
    # RFC 8414 wants response types also of a server without an authorization endpoint, which has
    # none. An empty list says so; Authlib takes it for absent.
    assert document["response_types_supported"] == []
    AuthorizationServerMetadata(document | {"response_types_supported": ["code"]}).validate()
    assert document["issuer"] == "https://exchange.example"
    assert document["registration_endpoint"].endswith("/oauth/register")
    algorithms = document["token_endpoint_auth_signing_alg_values_supported"]
    assert set(algorithms) == {"ES256", "PS256", "EdDSA", "Ed25519"}
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["token_endpoint_auth_methods_supported"][0] == "private_key_jwt"


@pytest.mark.parametrize(
    "issuer", ["http://exchange.example", "http://0.0.0.0:8000", "ftp://a", "https://a/?b=c", "a b"]
)
def test_an_issuer_that_cannot_be_one_stops_the_start(issuer):
    with pytest.raises(StartUpError, match="EXCHANGE_ISSUER"):
        server_metadata(Settings(issuer=issuer))


@pytest.mark.parametrize("issuer", ["", "http://localhost:8000", "http://[::1]:8000"])
def test_on_this_machine_plain_http_will_do(issuer):
    assert server_metadata(Settings(issuer=issuer))["token_endpoint"].startswith("http://")


@pytest.mark.parametrize("issuer", ["https://a.example", "https://a.example/x", "https://a/x/y/"])
async def test_it_is_where_rfc_8414_says_for_an_issuer_with_a_path(world, issuer):
    settings, app = Settings(issuer=issuer), FastAPI()
    door = (world.participants, world.ledger, world, world.secret_fits, world.limits)
    app.include_router(router(world.keys, world.nonces, settings, *door))
    path = get_well_known_url(settings.issuer_url)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000"
    ) as http:
        for place in (path, "/.well-known/oauth-authorization-server"):  # and at the root, for all
            answer = await http.get(place)
            assert (answer.status_code, answer.json()["issuer"]) == (200, settings.issuer_url)
    assert path in app.openapi()["paths"]
    assert len(app.openapi()["paths"]) == 3
