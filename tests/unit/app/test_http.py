"""What every route shares: JSON read strictly, cursors, languages, how tokens are shown."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from exchange.errors import BadInput, Unauthenticated
from exchange.http import decode_cursor, encode_cursor, language
from exchange.presented import presented
from exchange.strict_json import read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_every_json_value_is_read(value: object, escaped: bool):
    assert read_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}{}",
        b'{"a": 1, "a": 1}',
        b'[{"b": {"a": 1, "\\u0061": 2}}]',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b'"\\ud800"',
        b'"\\uD800\\u0041"',
        b'{"\\udc00": 1}',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"9" * 5000,
        b"[" * 100_000,
    ],
)
def test_what_two_readers_would_read_differently_is_refused(body: bytes):
    with pytest.raises(json.JSONDecodeError):
        read_json(body)


@pytest.mark.parametrize("body", [b'"\\ud83d\\ude00"', b'"\\\\ud800"', b'"\\\\\\ud83d\\ude00"'])
def test_a_pair_of_surrogates_is_one_character(body: bytes):
    assert read_json(body) == json.loads(body)


@given(st.from_regex(r"[0-9a-z_]{1,64}", fullmatch=True))
def test_a_cursor_comes_back(position: str):
    assert decode_cursor(encode_cursor(position)) == position


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda b: b.hex()))
def test_a_cursor_is_ours_or_refused(text: str):
    position = None
    with contextlib.suppress(BadInput):
        position = decode_cursor(text)
    assert position is None or encode_cursor(position) == text


def test_a_cursor_of_another_kind():
    for position in ("\x00", "org_00\n", "ä", "../x", "x" * 65):
        with pytest.raises(BadInput, match="not one of ours"):
            decode_cursor(encode_cursor(position))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("fr,zh;q=0.1", "zh"),
        ("fr,de", "en"),
        ("zh;q=0,en;q=0.1", "en"),
        ("ZH-hans", "zh"),
        ("zh;q=nan,en;q=0.1", "en"),
        ("zh;q=1e9", "en"),
        ("zh;q=99999999", "en"),
        (";;;,,=,q", "en"),
    ],
)
def test_language(accept: str | None, expected: str):
    assert language(accept) == expected


@given(st.text(max_size=200))
def test_language_of_anything(accept: str):
    assert language(accept) in ("en", "zh")


def request(*values: bytes) -> Request:
    headers = [(b"authorization", value) for value in values]
    return Request({"type": "http", "headers": headers, "method": "GET"})


def test_how_a_token_is_presented():
    shown = presented(request(b"Bearer abc.def"))
    assert (shown.scheme, shown.token, shown.proofs) == ("bearer", "abc.def", ())
    assert presented(request(b"dPoP x")).scheme == "dpop"


@pytest.mark.parametrize(
    "values",
    [
        (),
        (b"",),
        (b"Bearer",),
        (b"Bearer ",),
        (b"Bearer a b",),
        (b"Basic abc",),
        (b"a", b"Bearer b"),
        (b"Bearer a", b"Bearer b"),
        (b"DPoP a", b"Bearer b"),
    ],
)
def test_what_is_no_token(values: tuple[bytes, ...]):
    with pytest.raises(Unauthenticated) as refused:
        presented(request(*values))
    challenge = refused.value.headers["WWW-Authenticate"]
    offered = 'DPoP algs="ES256 Ed25519 EdDSA PS256", Bearer'
    assert challenge == (offered if not values else 'Bearer error="invalid_token"')
