"""DPoP proofs (RFC 9449): what is read of them, and what each must be for."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry

from exchange.formats.dpop import (
    MAX_AGE,
    ProofRefused,
    Prover,
    check_proof,
    read_proof,
    same_url,
    token_hash,
)
from exchange.formats.shown import Nonces, Replays, Shown, check_shown
from exchange.formats.tokens import generate_client_key

URL = "https://exchange.example/oauth/token"
NOW = 1_790_000_000
KEY = generate_client_key()
PROVER = Prover(KEY)
NONCES = Nonces(b"k" * 32)


def by_another_implementation(key, algorithm, claims=None, **header):
    good = {"jti": "j", "htm": "POST", "htu": URL, "iat": NOW} | (claims or {})
    made = {"typ": "dpop+jwt", "alg": algorithm, "jwk": key.as_dict(private=False)} | header
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = 8192  # its own 512 bytes are too few for an RSA key
    return jwt.encode(made, good, key, registry=registry)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (jwk.ECKey.generate_key("P-256"), "ES256"),
        (jwk.OKPKey.generate_key("Ed25519"), "EdDSA"),
        (jwk.OKPKey.generate_key("Ed25519"), "Ed25519"),
        (jwk.RSAKey.generate_key(2048), "PS256"),
        (jwk.RSAKey.generate_key(4096), "PS256"),
    ],
)
def test_proofs_of_another_implementation(key, algorithm):
    proof = read_proof(by_another_implementation(key, algorithm, {"nonce": "n"}))
    assert proof.jkt == key.thumbprint()
    assert (proof.method, proof.url, proof.issued, proof.nonce) == ("POST", URL, NOW, "n")
    check_proof(proof, method="POST", url=URL, now=NOW + 5)


def test_another_implementation_reads_ours():
    text = PROVER.proof("GET", URL + "?a=b#c", NOW, nonce="n", token="t")
    header = json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))
    assert header.keys() == {"typ", "alg", "jwk"}
    assert "d" not in header["jwk"]
    claims = jwt.decode(text, jwk.import_key(header["jwk"])).claims
    assert claims["htu"] == URL
    assert claims["ath"] == token_hash("t")
    assert jwk.import_key(header["jwk"]).thumbprint() == PROVER.jkt


def test_the_hash_of_a_token_is_that_of_the_rfc():
    """RFC 9449 section 7.1, figure 12 and the proof beside it."""
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    assert token_hash(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.parametrize(
    ("claims", "method", "url", "now"),
    [
        ({}, "GET", URL, NOW),
        ({}, "post", URL, NOW),
        ({}, "POST", URL + "/", NOW),
        ({}, "POST", "http://exchange.example/oauth/token", NOW),
        ({"htu": "https://evil.example/oauth/token"}, "POST", URL, NOW),
        ({"htu": "https://exchange.example@evil.example/oauth/token"}, "POST", URL, NOW),
        ({"htu": "https://a:b@exchange.example/oauth/token"}, "POST", URL, NOW),
        ({"htu": "https://exchange.example\\oauth/token"}, "POST", URL, NOW),
        ({"htu": "/oauth/token"}, "POST", URL, NOW),
        ({"htu": "https://exchange.example:99999/oauth/token"}, "POST", URL, NOW),
        ({"htu": "https://[/oauth/token"}, "POST", URL, NOW),
        ({}, "POST", URL, NOW + MAX_AGE + 31),
        ({}, "POST", URL, NOW - 31),
    ],
)
def test_what_a_proof_is_not_for(claims, method, url, now):
    key = jwk.import_key(KEY)
    proof = read_proof(by_another_implementation(key, "ES256", claims))
    with pytest.raises(ProofRefused, match="dpop_proof_invalid"):
        check_proof(proof, method=method, url=url, now=now)


@pytest.mark.parametrize(
    "claims",
    [
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 257},
        {"jti": 5},
        {"htm": None},
        {"htu": ["a"]},
        {"iat": None},
        {"iat": "now"},
        {"iat": 1.5},
        {"iat": True},
        {"nonce": None},
        {"nonce": 7},
        {"ath": None},
        {"jti": "é"},
    ],
)
def test_claims_that_are_none(claims):
    with pytest.raises(ProofRefused, match="dpop_proof_invalid"):
        read_proof(by_another_implementation(jwk.import_key(KEY), "ES256", claims))


def test_urls_that_are_one():
    assert same_url("HTTPS://Exchange.Example:443/a%7eb", "https://exchange.example/a~b?c#d")
    assert same_url("http://[::1]:80/", "http://[::1]")
    assert not same_url("https://exchange.example/a%2Fb", "https://exchange.example/a/b")
    assert not same_url("https://exchange.example/a/../b", "https://exchange.example/b")


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
def test_anything_is_read_or_refused(text: str):
    with pytest.raises(ProofRefused):
        read_proof(text)


@given(st.integers(0, 2**39), st.integers(-40, MAX_AGE + 10))
def test_a_nonce_tells_its_age(made: int, age: int):
    nonce = NONCES.make(made)
    assert NONCES.is_fresh(nonce, made + age) == (-30 <= age <= MAX_AGE)
    assert not Nonces(b"l" * 32).is_fresh(nonce, made + age)


@given(st.text(max_size=60) | st.none())
def test_no_nonce_is_made_up(nonce: str | None):
    assert not NONCES.is_fresh(nonce, NOW)


def shown(token="t", scheme="dpop", count=1, **changes):
    options = {"nonce": NONCES.make(NOW), "token": token} | changes
    proofs = [PROVER.proof("GET", URL, NOW, **options) for _ in range(count)]
    return Shown(scheme, token, proofs, "GET", URL)


def judged(how, jkt=PROVER.jkt, now=NOW, replays=None):
    try:
        return check_shown(how, jkt, now, NONCES, replays or Replays())
    except ProofRefused as refused:
        return refused.code


def test_a_bound_token_needs_its_proof_and_an_unbound_one_none():
    assert judged(shown()).jkt == PROVER.jkt
    assert judged(Shown("bearer", "t", (), "GET", URL), None) is None
    assert judged(Shown("bearer", "t", (), "GET", URL)) == "dpop_proof_missing"
    assert judged(Shown("dpop", "t", (), "GET", URL)) == "dpop_proof_missing"
    assert judged(shown(scheme="bearer")) == "dpop_proof_missing"  # a downgrade, RFC 9449 7.2
    assert judged(shown(), None) == "dpop_proof_invalid"
    assert judged(shown(count=2)) == "dpop_proof_invalid"
    assert judged(shown(), Prover(generate_client_key()).jkt) == "dpop_proof_invalid"
    for nonce in (None, "made-up", NONCES.make(NOW - MAX_AGE - 1)):
        assert judged(shown(nonce=nonce)) == "dpop_nonce_needed"


def test_a_proof_of_another_token_is_none():
    other = Shown("dpop", "stolen", shown("own").proofs, "GET", URL)
    assert judged(other) == "dpop_proof_invalid"
    without = PROVER.proof("GET", URL, NOW, nonce=NONCES.make(NOW))
    assert judged(Shown("dpop", "t", [without], "GET", URL)) == "dpop_proof_invalid"


def test_a_proof_is_good_once_here():
    replays, how = Replays(), shown()
    assert judged(how, replays=replays).jkt == PROVER.jkt
    assert judged(how, replays=replays) == "dpop_replayed"


def proofs_of(prover, count, at=NOW):
    return [read_proof(prover.proof("GET", URL, at)) for _ in range(count)]


def room_taken(replays):
    return sum(len(met.expires) for met in replays._by_key.values())


def test_what_was_met_is_forgotten_when_nobody_takes_it_any_more():
    replays = Replays(capacity=10)
    proofs = [read_proof(PROVER.proof("GET", URL, NOW + i)) for i in range(30)]
    assert all(replays.is_new(proof, NOW + i) for i, proof in enumerate(proofs))
    assert room_taken(replays) == replays._count == 10
    for prover in (PROVER, Prover(generate_client_key())):
        [later] = proofs_of(prover, 1, NOW + 900)
        assert replays.is_new(later, NOW + 900)
    assert room_taken(replays) == replays._count == 2
    [last] = proofs_of(Prover(generate_client_key()), 1, NOW + 1800)
    assert replays.is_new(last, NOW + 1800)
    assert list(replays._by_key) == [last.jkt]  # of keys that are not used any more nothing stays
    assert replays._count == 1


def test_one_keys_proofs_push_out_no_others():
    """Else whoever has a token would make room for a replay of somebody else's proof."""
    replays, busy = Replays(capacity=100, share=10), Prover(generate_client_key())
    mine, theirs = proofs_of(PROVER, 5), proofs_of(busy, 60)
    assert all(replays.is_new(proof, NOW) for proof in mine + theirs)
    assert not any(replays.is_new(proof, NOW) for proof in mine)
    assert not any(replays.is_new(proof, NOW) for proof in theirs[-10:])
    assert replays.is_new(theirs[0], NOW)  # pushed out by its own key's
    assert room_taken(replays) == replays._count == 15


def test_when_all_room_is_taken_a_key_has_what_it_had():
    replays = Replays(capacity=20, share=10)
    one, two = Prover(generate_client_key()), Prover(generate_client_key())
    mine, theirs, others = proofs_of(PROVER, 5), proofs_of(one, 10), proofs_of(two, 30)
    assert all(replays.is_new(proof, NOW) for proof in mine + theirs + others)
    assert not any(replays.is_new(proof, NOW) for proof in mine + theirs)
    assert room_taken(replays) == replays._count == 20


def test_a_key_that_comes_when_all_room_is_taken_gets_one_place_of_the_longest_unused():
    replays = Replays(capacity=10, share=10)
    mine, [new], [another] = (
        proofs_of(PROVER, 10),
        *(proofs_of(Prover(generate_client_key()), 1) for _ in range(2)),
    )
    assert all(replays.is_new(proof, NOW) for proof in [*mine, new, another])
    assert not any(replays.is_new(proof, NOW) for proof in [new, another, *mine[2:]])
    assert room_taken(replays) == replays._count == 10


def test_a_proof_that_is_met_again_after_its_time_takes_one_place():
    replays, [proof] = Replays(), proofs_of(PROVER, 1)
    assert replays.is_new(proof, NOW)
    assert not replays.is_new(proof, NOW + 359)
    assert replays.is_new(proof, NOW + 361)
    assert room_taken(replays) == replays._count == 1
