"""JWK Sets of clients: what may be registered, and every key that must not be."""

import json
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk

from exchange.formats.errors import FormatError
from exchange.formats.jwk import generate_client_key, parse_public_jwks, public_jwks

KEY, OTHER = generate_client_key(), generate_client_key()


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_client_key_and_its_public_half():
    key = generate_client_key()
    assert key["kid"] == jwk.import_key(key).thumbprint()
    jwks = public_jwks(key)
    assert jwks == parse_public_jwks(jwks)
    assert key["d"] not in json.dumps(jwks)
    assert jwks["keys"][0].keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert generate_client_key()["d"] != key["d"]


def test_a_jwk_set_is_reduced_to_what_verifying_needs():
    ed25519 = jwk.OKPKey.generate_key("Ed25519").as_dict(private=False)
    big = jwk.RSAKey.generate_key(2048).as_dict(private=False)
    ecdsa = PUBLIC | {
        "x5u": "https://evil.example",
        "x5c": ["x"],
        "ext": True,
        "key_ops": ["verify"],
    }
    read = parse_public_jwks({"keys": [ecdsa, ed25519, big], "jku": "https://evil.example"})
    assert "evil" not in json.dumps(read)
    assert [key["alg"] for key in read["keys"]] == ["ES256", "EdDSA", "PS256"]
    assert read["keys"][1]["kid"] == jwk.import_key(ed25519).thumbprint()
    assert parse_public_jwks(read) == read


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "x",
        {},
        {"keys": []},
        {"keys": {}},
        {"keys": [1]},
        {"keys": ["x"]},
        {"keys": [{}]},
        {"keys": [generate_client_key() for _ in range(9)]},
    ],
)
def test_what_is_no_jwk_set(value):
    with pytest.raises(FormatError):
        parse_public_jwks(value)


def test_eight_keys_are_allowed_and_nine_are_not():
    nine = [public_jwks(generate_client_key())["keys"][0] for _ in range(9)]
    assert len(parse_public_jwks({"keys": nine[:8]})["keys"]) == 8
    with pytest.raises(FormatError, match="1 to 8"):
        parse_public_jwks({"keys": nine})


PUBLIC = public_jwks(KEY)["keys"][0]
RSA = jwk.RSAKey.generate_key(2048).as_dict(private=False)


def bad(key, match):
    with pytest.raises(FormatError, match=match):
        parse_public_jwks({"keys": [key]})


def test_private_and_symmetric_keys_are_refused():
    bad(KEY, "private")
    bad(jwk.OKPKey.generate_key("Ed25519").as_dict(private=True), "private")
    bad(jwk.RSAKey.generate_key(2048).as_dict(private=True), "private")
    for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k"):
        bad(PUBLIC | {name: None}, "private")
    bad(jwk.OctKey.generate_key(256).as_dict(), "symmetric")
    bad({"kty": "oct"}, "symmetric")


def test_weak_and_strange_rsa_keys_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc warns of it, too
        small = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 1024).public_key())
    bad(small.as_dict(), "2048")
    odd = rsa.generate_private_key(3, 2048).public_key()
    bad(jwk.RSAKey.import_key(odd).as_dict(), "65537")
    bad(RSA | {"e": "AQ"}, "65537")  # 1: every message is its own signature
    bad(RSA | {"n": b64(b"\x80" + bytes(511) + b"\x01")} | {"e": b64(b"\xff" * 300)}, "65537")
    bad(RSA | {"n": b64(b"\x80" + bytes(1024) + b"\x01")}, "too long")
    bad(RSA | {"n": b64(b"\0" + urlsafe_b64decode(RSA["n"] + "=="))}, "zero byte")
    bad(RSA | {"n": b64(b"\xff" * 255 + b"\xfe")}, "even")
    bad(RSA | {"alg": "RS256"}, "PS256")


def test_other_curves_points_and_uses_are_refused():
    bad(jwk.ECKey.generate_key("P-384").as_dict(private=False), "P-256")
    bad(jwk.ECKey.generate_key("secp256k1").as_dict(private=False), "P-256")
    bad(jwk.OKPKey.generate_key("X25519").as_dict(private=False), "Ed25519")
    bad(PUBLIC | {"crv": "Ed25519"}, "P-256")
    bad(PUBLIC | {"y": PUBLIC["x"]}, "curve")
    bad(PUBLIC | {"x": b64(bytes(32)), "y": b64(bytes(32))}, "curve")
    bad(PUBLIC | {"x": b64(bytes(33))}, "32 bytes")
    bad(PUBLIC | {"x": PUBLIC["x"] + "="}, "base64url")
    bad(PUBLIC | {"x": 5}, "missing")
    bad(PUBLIC | {"kty": "AKP"}, "kty")
    bad(PUBLIC | {"kty": ["EC"]}, "kty")
    bad(PUBLIC | {"use": "enc"}, "sig")
    bad(PUBLIC | {"key_ops": ["verify", "deriveKey"]}, "sig")
    bad(PUBLIC | {"alg": "HS256"}, "ES256")
    bad(PUBLIC | {"alg": ["ES256"]}, "ES256")


def test_kids_are_unique_and_printable():
    same = [PUBLIC, public_jwks(OTHER)["keys"][0] | {"kid": PUBLIC["kid"]}]
    with pytest.raises(FormatError, match="same kid"):
        parse_public_jwks({"keys": same})
    for kid in ("", None, 7, "a b", "\n", "ü", "\ud800", "x" * 129):
        bad(PUBLIC | {"kid": kid}, "kid")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"]), JSON),
    st.sampled_from([PUBLIC, RSA, {}]),
)
def test_any_json_is_a_key_set_or_a_format_error(changes, good):
    try:
        read = parse_public_jwks({"keys": [good | changes]})
    except FormatError:
        return
    assert parse_public_jwks(read) == read
