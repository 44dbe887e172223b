"""Whatever path gets past a rule is one path to everybody: to us, and to who reads it after us."""

import posixpath
import re
from urllib.parse import quote, unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.formats.allowed_paths import METHODS, BadPath, BadRule, allowed, normalise, parse

PIECES = ["a", "b", ".", "..", "/", "//", "%2e", "%2E", "%2f", "%5c", "%25", "%61", "%c3%a9", ";"]
PIECES += ["*", "%", "%00", "~", "stats", "%EF%BC%8E", "%c0%ae", "?", "#", "\\", "é", " ", "=", "&"]
PATHS = st.lists(st.sampled_from(PIECES), max_size=10).map(lambda parts: "/" + "".join(parts))
PATHS |= st.text(max_size=30) | st.text(max_size=20).map(lambda text: "/" + quote(text, safe="/"))
WORDS = st.text("abcXYZ019-_~!$&'()+,=:@", min_size=1, max_size=5)
SEGMENTS = st.lists(st.sampled_from(["*"]) | WORDS, max_size=4)
RULES = st.builds(
    lambda method, segments, end: f"{method} /{'/'.join(segments)}{end}",
    st.sampled_from(METHODS),
    SEGMENTS,
    st.sampled_from(["", "*", "/*", "/"]),
)
EXAMPLES = 400


def normal(path: str) -> str | None:
    try:
        return normalise(path)
    except BadPath:
        return None


def oracle(rule: str, method: str, path: str) -> bool:
    """The grammar once more, as a regular expression."""
    wanted, _, pattern = rule.partition(" ")
    body = pattern.removesuffix("*")
    segments = ["[^/]+" if s == "*" else re.escape(s) for s in body.split("/")]
    expression = "/".join(segments) + ("(?s:.*)" if pattern.endswith("*") else "")
    return method == wanted and re.fullmatch(expression, path) is not None


@given(PATHS)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_normal_path_stays_as_it_is(path):
    spelt = normal(path)
    assert spelt is None or normalise(spelt) == spelt


@given(PATHS)
@settings(max_examples=EXAMPLES, deadline=None)
def test_decoding_it_once_or_twice_leads_nowhere_else(path):
    """Programs decode before they split, or twice, or resolve dots: all must find one path."""
    spelt = normal(path)
    if spelt is None:
        return
    once = unquote(spelt, errors="strict")
    assert unquote(once) == once
    assert [unquote(s) for s in spelt.split("/")] == once.split("/")
    for read in (spelt, once):
        assert posixpath.normpath(read) == (read.rstrip("/") or "/")
        assert not set(read) & set("\\?#\x00\r\n")
    assert spelt.isascii()
    assert spelt.startswith("/")
    assert not spelt.startswith("//")


@given(RULES, st.sampled_from(METHODS), PATHS | SEGMENTS.map(lambda s: "/" + "/".join(s)))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_rule_allows_what_its_grammar_says_and_no_more(rule, method, path):
    try:
        read = parse(rule)
    except BadRule:
        return
    spelt = normal(path)
    expected = spelt is not None and oracle(rule, method, spelt)
    assert read.allows(method, path) == expected
    assert allowed([read], method, path) == (spelt if expected else None)


@given(RULES)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_rule_allows_a_path_that_fits_it(rule):
    """Nearly every rule of these parts is one; else the test before would prove nothing."""
    method, _, pattern = rule.partition(" ")
    if "//" in pattern or pattern.endswith("**"):
        return
    read = parse(rule)
    assert read.allows(method, pattern.replace("*", "x"))


@given(st.text(max_size=40) | st.builds("{} {}".format, st.sampled_from(METHODS), PATHS))
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_rule_is_read_or_refused_in_one_way(rule):
    try:
        read = parse(rule)
    except BadRule:
        return
    plain = rule.partition(" ")[2].replace("*", "x")
    assert normalise(plain) == plain
    assert read.method in METHODS
