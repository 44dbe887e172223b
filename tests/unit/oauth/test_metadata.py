"""The metadata is right by another implementation's reading, and made of settings only."""

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from exchange.errors import StartUpError
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
