"""Canonical JSON: known bytes, and what is refused."""

import enum
import math

import pytest

from exchange.formats.canonical import MAX_DEPTH, decode, encode
from exchange.formats.errors import CanonicalError, FormatError


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None, "x"]}, b'{"a":[true,null,"x"],"b":1}'),
        ("\u20ac$\x0f\nA'B\"\\\x7f/", '"€$\\u000f\\nA\'B\\"\\\\\x7f/"'.encode()),
        # RFC 8785, 3.2.3: sorted by UTF-16 unit, so a smiley (D83D…) precedes U+FB33.
        ({"\ufb33": 1, "\U0001f600": 2, "1": 3}, '{"1":3,"\U0001f600":2,"\ufb33":1}'.encode()),
        (
            [333333333.33333329, 1e30, 4.5, 2e-3, 1e-27, -0.0],
            b"[333333333.3333333,1e+30,4.5,0.002,1e-27,0]",
        ),
        (2**53 - 1, b"9007199254740991"),
        (2**53, b'"9007199254740992"'),
        ([-(2**53)], b'["-9007199254740992"]'),
        ({"deep": {"n": 10**20}}, b'{"deep":{"n":"100000000000000000000"}}'),
        ([Colour.RED, Level.ONE, True], b'["red",1,true]'),
        (("a", ()), b'["a",[]]'),
        ({}, b"{}"),
        ("数据", '"数据"'.encode()),
    ],
)
def test_encode(value, expected):
    assert encode(value) == expected


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_depth():
    assert decode(encode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    for value in (nested(MAX_DEPTH + 1), {"a": nested(MAX_DEPTH)}, {"é": nested(MAX_DEPTH)}):
        with pytest.raises(CanonicalError):
            encode(value)


def test_a_circle_is_refused():
    circle = []
    circle.append(circle)
    with pytest.raises(CanonicalError):
        encode(circle)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        2.0**53,
        [-1e20],
        math.inf,
        [-math.inf],
        "\ud800",
        {"\ud800": 1},
        {"é": "\udfff"},
        {1: "a"},
        {None: "a"},
        {True: "a"},
        {b"a": "a"},
        {"a": b"bytes"},
        {"a": {1, 2}},
        object(),
        pytest.param(10**5000, id="5001 digits"),
    ],
)
def test_encode_refuses(value):
    with pytest.raises(FormatError):
        encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1 ",
        b"1\n",
        b"\xef\xbb\xbf1",
        b"\xff",
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b"NaN",
        b"[Infinity]",
        b"1.0",
        b"1e2",
        b"-0",
        b"01",
        b"1e999",
        b"9007199254740992",
        b"9" * 5000,
        b'"\\ud800"',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000A"',
        b"[" * 65 + b"]" * 65,
        b"[" * 30000 + b"]" * 30000,
        b'{"a":' * 5000,
        b'"\n"',
    ],
    ids=lambda data: repr(data[:24]),
)
def test_decode_refuses(data):
    with pytest.raises(CanonicalError):
        decode(data)


def test_decode_bounds_the_bytes():
    assert decode(b'"' + b"x" * 65533 + b'"') == "x" * 65533
    with pytest.raises(CanonicalError):
        decode(b'"' + b"x" * 65534 + b'"')
    with pytest.raises(CanonicalError):
        decode(b'"abc"', max_bytes=4)
