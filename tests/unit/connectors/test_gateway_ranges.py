"""Ranges and conditions agree with slow readings of RFC 9110, and never fail on odd input."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from connectors.gateway.conditions import Conditions
from connectors.gateway.problems import GatewayProblem
from connectors.gateway.ranges import NotSatisfiable, Span, parse_range

SIZES = st.integers(0, 40)
NUMBERS = st.one_of(
    st.integers(0, 60).map(str),
    st.integers(0, 60).map(lambda n: f"000{n}"),
    st.integers(10**17, 10**25).map(str),
)
SPECS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map("-".join),
    NUMBERS.map(lambda n: n + "-"),
    NUMBERS.map(lambda n: "-" + n),
    st.text("0123456789-, ", max_size=8),
)
HEADERS = st.one_of(
    st.tuples(st.sampled_from(["bytes=", "Bytes=", "bytes =", "bytes", "lines=", ""]), SPECS).map(
        "".join
    ),
    st.lists(SPECS, min_size=2, max_size=4).map(lambda specs: "bytes=" + ",".join(specs)),
    st.text(max_size=12),
)


def slow_range(header: str, size: int) -> list[int] | str:
    """Byte positions by trying each against RFC 9110's words, or "whole", or "416"."""
    unit, equals, spec = header.partition("=")
    if unit.lower() != "bytes" or not unit.isascii() or not equals or spec.count("-") != 1:
        return "whole"
    first, last = spec.split("-")
    if any(each not in "0123456789" for each in first + last) or first == last == "":
        return "whole"
    if first and last and int(last) < int(first):
        return "whole"
    if first:
        wanted = [at for at in range(size) if at >= int(first) and (not last or at <= int(last))]
    else:
        wanted = [at for at in range(size) if size - at <= int(last)]
        if size == 0 and int(last) > 0:
            return "whole"
    return wanted or "416"


def our_range(header: str, size: int) -> list[int] | str:
    try:
        span = parse_range(header, size)
    except NotSatisfiable:
        return "416"
    return "whole" if span is None else list(range(span.first, span.last + 1))


@given(HEADERS, SIZES)
@example("bytes=0-0", 1)
@example("bytes=-1", 1)
@example("bytes=-0", 5)
@example("bytes=5-", 5)
@example("bytes=0-4,1-2", 5)
@example("bytes=٣-٤", 9)  # digits, but not ASCII's
@example("bytes=1-2\n", 9)
@example("BYTES=1-", 9)
@example("byteſ=1-", 9)  # a long s, which some matchers fold to s
def test_range_agrees_with_the_slow_reading(header: str, size: int) -> None:
    assert our_range(header, size) == slow_range(header, size)


def test_ranges_of_any_length_are_read_fast() -> None:
    assert parse_range("bytes=0-" + "9" * 5000, 10) == Span(0, 9)
    assert parse_range("bytes=-" + "9" * 5000, 10) == Span(0, 9)
    with pytest.raises(NotSatisfiable):
        parse_range("bytes=" + "9" * 5000 + "-", 10)


def conditions(*headers: tuple[str, str]) -> Conditions:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    request = Request({"type": "http", "headers": raw})
    last = {name.replace("-", "_"): value for name, value in headers}
    return Conditions(request, **last)


OPAQUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'))
TAGS = st.tuples(st.booleans(), st.sampled_from(["mine", "other", "W/", ""]) | OPAQUE)


@given(st.lists(TAGS, min_size=1, max_size=5), st.sampled_from([",", ", ", " ,\t", ",,", " , , "]))
def test_entity_tags_match_weakly_or_strongly(tags: list[tuple[bool, str]], comma: str) -> None:
    header = comma.join(f'{"W/" if weak else ""}"{opaque}"' for weak, opaque in tags)
    strong = any(opaque == "mine" and not weak for weak, opaque in tags)
    assert conditions(("if-none-match", header)).unmodified('"mine"') is any(
        opaque == "mine" for _, opaque in tags
    )
    if strong:
        assert conditions(("if-match", header)).unmodified('"mine"') is False
    else:
        with pytest.raises(GatewayProblem) as refused:
            conditions(("if-match", header)).unmodified('"mine"')
        assert refused.value.status == 412


@given(st.text(st.characters(max_codepoint=0xFF), max_size=30))
@example('"mine')
@example('mine"')
@example('"mine" "other"')
@example('w/"mine"')
@example('"mine", x')
@example("*, *")
def test_malformed_tags_never_match_and_never_fail(text: str) -> None:
    if text.strip(" \t") == "*" or text.strip(" \t,") == '"mine"':
        return
    assert not conditions(("if-none-match", text)).unmodified('"mine"')
    with pytest.raises(GatewayProblem):
        conditions(("if-match", text)).unmodified('"mine"')


def test_lines_of_a_list_are_one_list_and_a_star_matches_all() -> None:
    two = conditions(("if-none-match", '"a"'), ("if-none-match", '"mine"'))
    assert two.unmodified('"mine"')
    assert conditions(("if-none-match", "*")).unmodified('"mine"')
    assert not conditions(("if-match", "*")).unmodified('"mine"')


@pytest.mark.parametrize("name", ["range", "if-range"])
def test_a_header_that_stands_once_is_refused_twice(name: str) -> None:
    with pytest.raises(GatewayProblem) as refused:
        conditions((name, "bytes=0-1"), (name, "bytes=2-3"))
    assert (refused.value.status, refused.value.code) == (400, "header_repeated")


@pytest.mark.parametrize(
    ("if_range", "kept"),
    [
        ('"mine"', True),
        (' "mine" ', True),
        ('W/"mine"', False),
        ('"other"', False),
        ("mine", False),
        ("Sat, 29 Oct 1994 19:43:31 GMT", False),
        ("", False),
    ],
)
def test_if_range_keeps_the_range_for_this_version_only(if_range: str, kept: bool) -> None:
    asked = conditions(("range", "bytes=1-2"), ("if-range", if_range))
    assert asked.span('"mine"', 10) == (Span(1, 2) if kept else None)
