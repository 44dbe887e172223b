"""Client metadata (RFC 7591): what is asked for is honoured or refused, the rest passed over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.formats.jwk import parse_public_jwks
from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.oauth.model import Refused
from exchange.oauth.registration import METHODS, Metadata, read_metadata, registered
from exchange.participants.model import Client

JWKS = public_jwks(generate_client_key())
ALLOWED = frozenset({"catalog", "grants", "participants", "requests"})
KNOWN = [
    *("client_name", "jwks", "jwks_uri", "token_endpoint_auth_method", "grant_types", "scope"),
    *("response_types", "redirect_uris", "dpop_bound_access_tokens", "software_statement"),
    *("token_endpoint_auth_signing_alg", "request_uris", "client_secret", "client_id"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(METHODS),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3)
    ),
    max_leaves=6,
)
ERRORS = (
    *("invalid_client_metadata", "invalid_redirect_uri"),
    "unapproved_software_statement",
)
NAMES = st.sampled_from(KNOWN) | st.text(max_size=12)


def read(**document) -> Metadata:
    return read_metadata({"jwks": JWKS} | document, ALLOWED)


def test_defaults_are_keys_and_bound_tokens():
    wanted = read()
    assert (wanted.auth_method, wanted.dpop_bound) == ("private_key_jwt", True)
    assert (wanted.jwks, wanted.name) == (JWKS, "client")


def test_what_is_asked_for_is_honoured():
    wanted = read(
        client_name="夜间 nightly",
        dpop_bound_access_tokens=False,
        grant_types=["client_credentials"],
        response_types=[],
        redirect_uris=[],
        scope="requests catalog participants grants",
        token_endpoint_auth_signing_alg="ES256",
        jwks_uri=None,
        tls_client_certificate_bound_access_tokens=False,
    )
    assert (wanted.name, wanted.dpop_bound) == ("夜间 nightly", False)
    assert wanted.signing_alg == "ES256"
    secret = read_metadata({"token_endpoint_auth_method": "client_secret_post"}, ALLOWED)
    assert (secret.auth_method, secret.jwks) == ("client_secret_post", {"keys": []})


def test_the_answer_says_what_was_registered():
    wanted = read(client_name="n", token_endpoint_auth_signing_alg="ES256")
    client = Client("cli_0", "org_0", "n", JWKS, "pending", 1, 1_999, dpop_bound=True)
    assert registered(client, wanted, ALLOWED, None) == {
        "client_id": "cli_0",
        "client_id_issued_at": 1,
        "client_name": "n",
        "jwks": JWKS,
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "dpop_bound_access_tokens": True,
        "scope": "catalog grants participants requests",
        "organisation_id": "org_0",
        "status": "pending",
    }
    told = registered(client, wanted, ALLOWED, "dsx_x")
    assert (told["client_secret"], told["client_secret_expires_at"]) == ("dsx_x", 0)


@pytest.mark.parametrize(
    "scope",
    [
        "catalog",
        "catalog grants participants requests operate",
        "operate",
        "",
        " ",
        "catalog  grants",
    ],
)
def test_a_scope_of_less_or_more_than_the_client_will_have_is_refused_and_told(scope):
    """It would be widened in silence: what a token is good for is asked with each token."""
    with pytest.raises(Refused) as caught:
        read(scope=scope)
    assert caught.value.error == "invalid_client_metadata"
    assert "catalog grants participants requests" in caught.value.description


@pytest.mark.parametrize("document", [None, [], "x", 1, True])
def test_no_object_is_no_metadata(document):
    with pytest.raises(Refused):
        read_metadata(document, ALLOWED)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans())
def test_whatever_is_sent_is_honoured_or_refused(document, with_keys):
    """Never an exception of another kind, and what was read is what was sent."""
    sent = ({"jwks": JWKS} if with_keys else {}) | document
    try:
        wanted = read_metadata(sent, ALLOWED)
    except Refused as refusal:
        error = refusal.error
        assert error in ERRORS
        return
    assert wanted.auth_method == sent.get("token_endpoint_auth_method", "private_key_jwt")
    assert wanted.dpop_bound == sent.get("dpop_bound_access_tokens", True)
    assert (wanted.auth_method == "private_key_jwt") == bool(wanted.jwks["keys"])
    if wanted.jwks["keys"]:
        assert wanted.jwks == parse_public_jwks(sent["jwks"])
    assert wanted.name == sent.get("client_name", "client")
    if (scope := sent.get("scope")) is not None:
        assert set(scope.split(" ")) == ALLOWED
    for refused in ("jwks_uri", "request_uris", "client_secret", "client_id", "redirect_uris"):
        assert not sent.get(refused)
    assert "software_statement" not in sent
