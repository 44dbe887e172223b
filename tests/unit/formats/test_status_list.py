"""Status lists and what is signed about them."""

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.formats.errors import FormatError
from exchange.formats.jwk import (
    encode_base64url,
    generate_client_key,
    load_private_key,
    public_jwks,
)
from exchange.formats.jws import sign_jws
from exchange.formats.status_list import MOST_INDEXES, StatusList
from exchange.formats.status_token import (
    DELTA_TYPE,
    HEARTBEAT_TYPE,
    LIST_TYPE,
    MOST_CHANGES,
    StatusEvent,
    list_claims,
    read_list_token,
    read_status_event,
)
from exchange.formats.tokens import KeySet, TokenRefused, verify_api_token, verify_grant_token

ISSUER = "https://exchange.example"
URI = f"{ISSUER}/v1/status-lists/org_1"
JWK = generate_client_key()
KEY, ALG, KID = load_private_key(JWK)
KEYS = KeySet(public_jwks(JWK))

# draft-ietf-oauth-status-list-20, section 4.1 and appendix C.2 (two bits a status). Status 3 is
# for applications and none of ours, so the lists are read bit by bit.
SHORT = "eNo76fITAAPfAgc"
SHORT_STATUSES = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
LONG = bytes.fromhex(
    "78daeddb310d00211000412ea1a04004fe5520ed"
    "357c28c81d3312b6df68bc65480000000000406e2101000000000000000000000000"
    "0000000000000000000000000000000000000040795b020000000000000000000000"
    "00000000000000000000000000000000000000000000000000000000000000000000"
    "00000000000000000000000000000000000000000000000000000000000000000000"
    "0080f4ba0400000000000000000000000000406d764a000000000000000000000000"
    "000000000000000000e0922101000000000000000000000000000000000000fc1312"
    "00000000000000000000000000000000000000000000000000000000000000c0912e"
    "01000000000000000000000000000000000000c07d4b020000000000000000000000"
    "00000000a8614a0000000000000000000000406a1fcd60010c"
)
LONG_STATUSES = dict(
    zip(
        (0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345),
        (1, 2, 1, 3, 1, 1, 2, 1, 1, 2, 3),
        strict=True,
    )
)


def test_the_drafts_short_vector():
    found = StatusList.decode({"bits": 2, "lst": SHORT})
    assert [found[i] for i in range(12)] == SHORT_STATUSES


def test_the_drafts_long_vector():
    found = StatusList.decode(packed(LONG))
    assert len(found) == 1 << 20
    assert {i: found[i] for i in range(len(found)) if found[i]} == LONG_STATUSES


def signed(typ, claims, key=KEY, kid=KID):
    return sign_jws(key, {"alg": "ES256", "kid": kid, "typ": typ}, claims)


@given(st.integers(1, 5000), st.data())
def test_what_is_set_is_read_back(size, data):
    index = st.integers(0, size - 1)
    statuses = data.draw(st.dictionaries(index, st.sampled_from((0, 1, 2)), max_size=50))
    made = StatusList(size)
    for at, status in statuses.items():
        made[at] = status
    found = StatusList.decode(made.encode())
    assert len(found) == len(made) >= size
    assert {i: found[i] for i in range(size)} == {i: statuses.get(i, 0) for i in range(size)}


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from((0, 1, 2)))))
def test_changes_beyond_the_end_make_it_longer(changes):
    made = StatusList(1)
    made.set_all(changes)
    for index, status in dict(changes).items():
        assert made[index] == status


def test_the_ends():
    made = StatusList(8)
    for beyond in (-1, 8, 1 << 40):
        with pytest.raises(IndexError):
            made[beyond]
        with pytest.raises(IndexError):
            made[beyond] = 1
    with pytest.raises(FormatError):
        made[0] = 3
    with pytest.raises(IndexError):
        made.set_all([(MOST_INDEXES, 1)])
    for size in (0, MOST_INDEXES + 1):
        with pytest.raises(FormatError):
            StatusList(size)
    assert len(StatusList.decode(StatusList(MOST_INDEXES).encode())) == MOST_INDEXES


def packed(data):
    return {"bits": 2, "lst": encode_base64url(data)}


@pytest.mark.parametrize(
    "claim",
    [
        None,
        {"bits": 1, "lst": SHORT},
        {"bits": True, "lst": SHORT},
        {"bits": 2},
        {"bits": 2, "lst": SHORT + "="},
        packed(b"not compressed"),
        packed(zlib.compress(b"")),
        packed(zlib.compress(b"abc")[:-1]),
        packed(zlib.compress(b"abc") + b"x"),
        packed(zlib.compress(bytes(MOST_INDEXES // 4 + 1))),
    ],
)
def test_odd_lists_are_refused(claim):
    with pytest.raises(FormatError):
        StatusList.decode(claim)


def test_a_bomb_is_refused_before_it_unfolds():
    """128 MiB of zeros in 128 KiB; reading them takes 4 MiB of memory."""
    squeezed = zlib.compressobj(9)
    bomb = b"".join(squeezed.compress(bytes(1 << 20)) for _ in range(1 << 7)) + squeezed.flush()
    assert len(bomb) < 1.1 * (1 << 17)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="more than"):
            StatusList.decode(packed(bomb))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def a_list():
    made = StatusList(1000)
    made[7], made[8] = 1, 2
    return made


def claims_of_list(**changed):
    claims = list_claims(ISSUER, URI, a_list(), 12, now=1_700_000_000, ttl=10, lifetime=3600)
    return {**claims, **changed}


def test_a_list_token_says_what_the_draft_asks_for():
    token = signed(LIST_TYPE, claims_of_list())
    found = read_list_token(token, KEYS, issuer=ISSUER, uri=URI)
    assert (found.log_index, found.statuses[7], found.statuses[8], found.statuses[9]) == (
        12,
        1,
        2,
        0,
    )
    assert claims_of_list().keys() == {
        "iss",
        "sub",
        "iat",
        "exp",
        "ttl",
        "log_index",
        "status_list",
    }


OTHER = generate_client_key()


@pytest.mark.parametrize(
    "token",
    [
        signed(LIST_TYPE, claims_of_list(sub=URI + "2")),
        signed(LIST_TYPE, claims_of_list(iss="https://other.example")),
        signed(LIST_TYPE, claims_of_list(log_index=-1)),
        signed(LIST_TYPE, claims_of_list(log_index=True)),
        signed(LIST_TYPE, claims_of_list(status_list={"bits": 2, "lst": ""})),
        signed("at+jwt", claims_of_list()),
        signed(DELTA_TYPE, claims_of_list()),
        signed(LIST_TYPE, claims_of_list(), load_private_key(OTHER)[0]),
        signed(LIST_TYPE, claims_of_list(), load_private_key(OTHER)[0], "unknown"),
        "a" * (8 << 20) + "b",
        "",
    ],
)
def test_other_list_tokens_are_refused(token):
    with pytest.raises(FormatError):
        read_list_token(token, KEYS, issuer=ISSUER, uri=URI)


CHANGED = StatusEvent(URI, "n", 3, 5, 1500, ((7, 1), (9, 0)))
QUIET = StatusEvent(URI, "n", 5, 5, 1500)


def read(token, kind, nonce="n"):
    return read_status_event(token, KEYS, kind=kind, issuer=ISSUER, uri=URI, nonce=nonce)


@pytest.mark.parametrize("event", [CHANGED, QUIET])
def test_events_are_read_back(event):
    found = read(signed(event.kind, event.claims(ISSUER)), event.kind)
    assert (found.previous_index, found.log_index, found.as_of_ms) == (
        event.previous_index,
        event.log_index,
        event.as_of_ms,
    )
    assert tuple(found.changes) == tuple(event.changes)


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"nonce": "other"}, DELTA_TYPE),
        ({"sub": URI + "x"}, DELTA_TYPE),
        ({"iss": "x"}, DELTA_TYPE),
        ({"log_index": 2}, DELTA_TYPE),
        ({"as_of_ms": -1}, DELTA_TYPE),
        ({"as_of_ms": 1.5}, DELTA_TYPE),
        ({"changes": [[7, 3]]}, DELTA_TYPE),
        ({"changes": [[-1, 1]]}, DELTA_TYPE),
        ({"changes": [[MOST_INDEXES, 1]]}, DELTA_TYPE),
        ({"changes": [[7, 1, 1]]}, DELTA_TYPE),
        ({"changes": [[True, 1]]}, DELTA_TYPE),
        ({"changes": {}}, DELTA_TYPE),
        ({"changes": []}, DELTA_TYPE),
        ({"changes": [[0, 1]] * (MOST_CHANGES + 1)}, DELTA_TYPE),
        ({}, HEARTBEAT_TYPE),
    ],
)
def test_other_events_are_refused(claims, kind):
    token = signed(kind, {**CHANGED.claims(ISSUER), **claims})
    with pytest.raises(FormatError):
        read(token, kind)


def test_kinds_are_never_taken_for_each_other():
    tokens = {typ: signed(typ, CHANGED.claims(ISSUER)) for typ in (DELTA_TYPE, LIST_TYPE, "at+jwt")}
    with pytest.raises(TokenRefused):
        read(tokens[LIST_TYPE], DELTA_TYPE)
    with pytest.raises(TokenRefused):
        read(tokens["at+jwt"], DELTA_TYPE)
    for verify in (verify_api_token, verify_grant_token):
        for typ in (DELTA_TYPE, LIST_TYPE):
            with pytest.raises(TokenRefused, match="not at"):
                verify(tokens[typ], KEYS, issuer=ISSUER, audience=ISSUER, now=0)
