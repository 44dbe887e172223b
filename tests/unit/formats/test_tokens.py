"""Access tokens and client keys: what passes, and everything that only resembles it."""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from exchange.formats import tokens
from exchange.formats.errors import FormatError
from exchange.formats.tokens import (
    KeySet,
    TokenRefused,
    generate_client_key,
    make_client_assertion,
    public_jwks,
    verify_api_token,
    verify_grant_token,
)

ISSUER, GATEWAY = "https://exchange.example", "https://exchange.example/gateway"
NOW = 1_800_000_000
KEY, OTHER = generate_client_key(), generate_client_key()
KEYS = KeySet(public_jwks(KEY))
HEADER = {"alg": "ES256", "kid": KEY["kid"], "typ": "at+jwt"}
API = {
    "iss": ISSUER,
    "sub": "cli_a",
    "client_id": "cli_a",
    "aud": ISSUER,
    "iat": NOW,
    "exp": NOW + 300,
    "jti": "x",
    "org_id": "org_a",
    "scope": "catalog grants",
}
GRANT = API | {
    "aud": GATEWAY,
    "scope": "grant:grt_1",
    "grant_id": "grt_1",
    "authorization_details": [{"type": "dataset"}],
}


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def es256(signed):
    """A signature by hand, under headers that the other implementation would not write."""
    private = jwk.import_key(KEY).private_key
    r, s = decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(claims, header=HEADER, key=KEY):
    """Signed by another implementation."""
    return jwt.encode(header, claims, jwk.import_key(key))


def verify(text, *, now=NOW + 1, verifier=verify_api_token, audience=ISSUER, keys=KEYS):
    return verifier(text, keys, issuer=ISSUER, audience=audience, now=now)


def refused(text, **options):
    with pytest.raises(TokenRefused) as caught:
        verify(text, **options)
    return caught.value.code


def without(claims, name):
    return {key: value for key, value in claims.items() if key != name}


def test_an_api_token():
    known = verify(token(API))
    assert known == tokens.ApiToken(
        "cli_a", "org_a", frozenset({"catalog", "grants"}), "x", NOW, NOW + 300, None
    )


def test_a_grant_token():
    known = verify(token(GRANT), verifier=verify_grant_token, audience=GATEWAY)
    assert known == tokens.GrantToken(
        "cli_a", "org_a", "grt_1", ({"type": "dataset"},), "x", NOW, NOW + 300, None
    )


def test_what_is_verified_is_not_shared_between_answers():
    text = token(GRANT)
    first = verify(text, verifier=verify_grant_token, audience=GATEWAY)
    first.authorization_details[0]["type"] = "forged"
    second = verify(text, verifier=verify_grant_token, audience=GATEWAY)
    assert second.authorization_details == ({"type": "dataset"},)


def test_one_kind_is_never_taken_for_the_other():
    assert refused(token(GRANT)) == "token_audience_wrong"
    grant_for_issuer = token(GRANT | {"aud": ISSUER})  # gateway and exchange at one address
    assert refused(grant_for_issuer) == "token_kind_wrong"
    assert refused(token(API | {"scope": "catalog grant:grt_1"})) == "token_kind_wrong"
    assert refused(token(API | {"grant_id": "grt_1"})) == "token_kind_wrong"
    assert refused(
        token(API | {"aud": GATEWAY}), verifier=verify_grant_token, audience=GATEWAY
    ) == ("token_kind_wrong")
    other_grant = token(GRANT | {"scope": "grant:grt_2"})
    assert refused(other_grant, verifier=verify_grant_token, audience=GATEWAY) == "token_malformed"


@pytest.mark.parametrize("name", sorted(API))
def test_every_claim_is_needed_and_of_its_type(name):
    assert refused(token(without(API, name)))
    for value in (None, True, 1.5, [API[name]], {}, ""):
        assert refused(token(API | {name: value})), value


@pytest.mark.parametrize("details", [None, {}, "x", [1], ["x"]])
def test_authorization_details_are_a_list_of_objects(details):
    text = token(GRANT | {"authorization_details": details})
    assert refused(text, verifier=verify_grant_token, audience=GATEWAY) == "token_malformed"


def test_time():
    text = token(API)
    assert verify(text, now=NOW + 299.9)
    assert refused(text, now=NOW + 300) == "token_expired"
    assert verify(text, now=NOW - 30)
    assert refused(text, now=NOW - 31) == "token_not_yet_valid"
    assert verify(token(API | {"nbf": NOW}))
    assert refused(token(API | {"nbf": NOW + 60})) == "token_not_yet_valid"
    assert refused(token(API | {"exp": NOW})) == "token_malformed"
    assert verify(token(API | {"exp": NOW + 3600}))
    assert refused(token(API | {"exp": NOW + 3601})) == "token_malformed"
    assert refused(token(API | {"exp": 2**62})) == "token_malformed"


def test_issuer_and_audience_are_exact():
    for name, code in (("iss", "token_issuer_wrong"), ("aud", "token_audience_wrong")):
        for value in (ISSUER + "/", ISSUER.upper(), [ISSUER], [ISSUER, "https://evil.example"]):
            assert refused(token(API | {name: value})) == code


def test_a_token_says_to_which_key_it_is_bound():
    jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    bound = {"cnf": {"jkt": jkt}}
    assert verify(token(API | bound)).jkt == jkt
    of_grant = verify(token(GRANT | bound), verifier=verify_grant_token, audience=GATEWAY)
    assert of_grant.jkt == jkt


@pytest.mark.parametrize(
    "cnf", [{"x5t#S256": "a"}, {"jkt": "a", "x5t#S256": "b"}, {}, "jkt", None, {"jkt": ""}]
)
def test_a_token_bound_in_another_way_is_refused(cnf):
    assert refused(token(API | {"cnf": cnf})) in ("token_bound", "token_malformed")


def test_the_header():
    for name in ("typ", "alg", "kid"):
        for value in ("JWT", "at+JWT", "none", "ES384", "", None, ["at+jwt"], {}):
            head = b64({**HEADER, name: value})
            assert refused(head + token(API)[token(API).index(".") :]) in (
                "token_header_refused",
                "token_key_unknown",
            )
    assert refused(token(API, HEADER | {"kid": OTHER["kid"]})) == "token_key_unknown"
    assert refused(token(API, without(HEADER, "kid"))) == "token_key_unknown"
    for extra in ("jku", "x5u", "x5c", "jwk", "b64", "cty", "zip", "p2c"):
        signed = f"{b64(HEADER | {extra: 'x'})}.{b64(API)}"
        assert refused(f"{signed}.{b64(es256(signed))}") == "token_header_refused", extra


def test_a_signature_of_another_key_or_none():
    assert refused(token(API, key=OTHER)) == "token_signature_wrong"
    signed, _, signature = token(API).rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    numbers = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
    der = b64(encode_dss_signature(*numbers))
    longer = b64(raw[:32] + b"\0" + raw[32:])  # the same two numbers in 65 bytes
    for wrong in (
        b64(bytes(64)),
        b64(raw[:32] + bytes(32)),
        b64(raw[:63]),
        b64(raw + b"\0"),
        der,
        longer,
    ):
        assert refused(f"{signed}.{wrong}") == "token_signature_wrong"
    assert refused(signed + ".") == "token_malformed"


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_one_flipped_bit_anywhere_is_refused(position, bit):
    text = bytearray(TEXT.encode())
    text[position % len(text)] ^= 1 << bit
    refused(text.decode("latin-1"))


TEXT = token(API)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
def test_any_text_is_refused_in_the_one_way(text):
    refused(text)


@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_any_three_parts_are_refused_in_the_one_way(parts):
    refused(".".join(b64(part) for part in parts))


def test_one_spelling_only():
    header, claims, signature = TEXT.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = last[last.index(signature[-1]) ^ 1]  # the same 64 bytes to a lenient decoder
    assert urlsafe_b64decode(signature[:-1] + sibling + "==") == urlsafe_b64decode(signature + "==")
    for text in (
        f"{header}.{claims}.{signature[:-1]}{sibling}",
        f"{header}.{claims}.{signature}==",
        f"{header}.{claims}.{signature}\n",
        f" {TEXT}",
        f"{TEXT}.",
    ):
        assert refused(text) == "token_malformed"


def test_size_and_nesting():
    big = token(API | {"x": "y" * 5900})
    assert len(big) > 8192
    assert refused(big) == "token_malformed"
    assert verify(token(API | {"x": "y" * 5000}))
    for bomb in (b"[" * 5000, b'{"":' * 1100 + b"1" + b"}" * 1100):
        for signed in (f"{b64(bomb)}.{b64(API)}", f"{b64(HEADER)}.{b64(bomb)}"):
            assert len(signed) < 8000
            assert refused(f"{signed}.{b64(es256(signed))}") == "token_malformed"


def test_a_name_twice_and_numbers_that_are_none():
    for payload in (b'{"iss":"a","iss":"b"}', b'{"exp":NaN}', b'{"exp":Infinity}', b"\xff", b"1"):
        signed = f"{b64(HEADER)}.{b64(payload)}"
        assert refused(f"{signed}.{b64(es256(signed))}") == "token_malformed"


def test_a_remembered_signature_does_not_outlive_its_claims_or_cross_key_sets():
    text = token(API)
    assert verify(text)
    assert refused(text, now=NOW + 300) == "token_expired"
    assert refused(text, audience=GATEWAY) == "token_audience_wrong"
    assert refused(text, keys=KeySet(public_jwks(OTHER))) == "token_key_unknown"


def test_verifying_again_is_quick():
    """Access requests aim at 1,500/s a core, so a known token may cost a small part of 0.67 ms."""
    text = token(API)
    verify(text)
    best = min(timed(text) for _ in range(5))
    assert best < 0.0002


def timed(text):
    start = time.perf_counter()
    for _ in range(100):
        verify(text)
    return (time.perf_counter() - start) / 100


def test_a_key_set_is_es256_only():
    for made in (jwk.OKPKey.generate_key("Ed25519"), jwk.RSAKey.generate_key(2048)):
        with pytest.raises(FormatError, match="ES256"):
            KeySet(public_jwks(made.as_dict(private=True)))


@pytest.mark.parametrize(
    "key", [generate_client_key(), jwk.OKPKey.generate_key("Ed25519").as_dict(private=True)]
)
def test_an_assertion_as_another_implementation_reads_it(key):
    made = make_client_assertion(key, "cli_a", ISSUER, NOW + 0.7)
    read = jwt.decode(made, jwk.import_key(key), algorithms=["ES256", "EdDSA"])
    public = public_jwks(key)["keys"][0]
    assert read.header == {"alg": public["alg"], "kid": public["kid"], "typ": "JWT"}
    jti = read.claims.pop("jti")
    assert len(jti) > 16
    expected = {"iss": "cli_a", "sub": "cli_a", "aud": ISSUER, "iat": NOW, "exp": NOW + 60}
    assert read.claims == expected
    assert make_client_assertion(key, "cli_a", ISSUER, NOW) != made


@pytest.mark.parametrize("lifetime", [0, -1, 61])
def test_an_assertion_lives_a_minute_at_most(lifetime):
    with pytest.raises(FormatError):
        make_client_assertion(KEY, "cli_a", ISSUER, NOW, lifetime)


@pytest.mark.parametrize(
    "key",
    [
        public_jwks(KEY)["keys"][0],  # no private part
        {**KEY, "d": OTHER["d"]},  # somebody else's
        {**KEY, "d": KEY["d"] + "AA"},
        {**KEY, "d": 5},
        jwk.RSAKey.generate_key(2048).as_dict(private=True),
        {
            **jwk.OKPKey.generate_key("Ed25519").as_dict(private=True),
            "d": jwk.OKPKey.generate_key("Ed25519").as_dict(private=True)["d"],
        },
        {},
    ],
)
def test_an_assertion_needs_a_whole_private_key(key):
    with pytest.raises(FormatError):
        make_client_assertion(key, "cli_a", ISSUER, NOW)
