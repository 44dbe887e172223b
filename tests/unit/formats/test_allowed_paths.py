"""Rules of calls: what each allows, and the tricks that get nobody past one."""

import pytest

from exchange.formats.allowed_paths import BadPath, BadRule, allowed, normalise, parse


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        ("GET /", ["/"], ["/a", "//", ""]),
        ("GET /*", ["/", "/a", "/a/b", "/a/"], ["", "a"]),
        ("GET /stats", ["/stats"], ["/stats/", "/stats/a", "/statsx", "/Stats", "/"]),
        ("GET /stats/*", ["/stats/", "/stats/a", "/stats/a/b"], ["/stats", "/statsx", "/x/stats/"]),
        ("GET /stats*", ["/stats", "/statsx", "/stats/a"], ["/stat", "/x/stats"]),
        ("GET /a/*/b", ["/a/x/b", "/a/*/b"], ["/a/b", "/a//b", "/a/x/y/b", "/a/x/b/", "/a/x/bc"]),
        ("GET /a/*/b/*", ["/a/x/b/", "/a/x/b/y/z"], ["/a/x/b", "/a/x/y/b/z"]),
        ("GET /*/*", ["/a/", "/a/b", "/a/b/c"], ["/a", "/"]),
        ("GET /caf%C3%A9", ["/caf%c3%a9", "/c%61f%C3%A9"], ["/cafe"]),
        ("GET /a;v=1/b", ["/a;v=1/b"], ["/a/b"]),
    ],
)
def test_what_a_rule_allows(rule, yes, no):
    read = parse(rule)
    assert [path for path in yes if not read.allows("GET", path)] == []
    assert [path for path in no if read.allows("GET", path)] == []
    assert not [path for path in yes if read.allows("POST", path)]
    assert not [path for path in yes if read.allows("get", path)]


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "GET",
        "GET ",
        "/a",
        "get /a",
        "TRACE /a",
        "CONNECT /a",
        "* /a",
        "GET  /a",
        " GET /a",
        "GET a",
        "GET *",
        "GET /a ",
        "GET /a\n",
        "GET /a?b=1",
        "GET /a#b",
        "GET /a*b",
        "GET /*a",
        "GET /a*/b",
        "GET /a/**",
        "GET /**",
        "GET /..",
        "GET /a/../b",
        "GET /a/./b",
        "GET /.*",
        "GET //a",
        "GET /a//b",
        "GET /a//*",
        "GET /%2e%2e/a",
        "GET /a%2Fb",
        "GET /%61",
        "GET /%c3%a9",
        "GET /%C3*",
        "GET /%4*",
        "GET /\u00e9",
        "GET /" + "a" * 400,
    ],
)
def test_rules_that_are_none(rule):
    with pytest.raises(BadRule):
        parse(rule)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "http://elsewhere/a",
        "//elsewhere/a",
        "/a//b",
        "/..",
        "/../a",
        "/a/..",
        "/a/./b",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/a/.;/b",
        "/%2e%2e/a",
        "/.%2E/a",
        "/%2E./a",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/..\\a",
        "/%252e%252e/a",
        "/%25252e/a",
        "/a%00",
        "/a%0d%0ab",
        "/a%3Fb",
        "/a%23b",
        "/a%3Bb",
        "/a?b",
        "/a#b",
        "/a b",
        "/a\tb",
        "/a\x00",
        "/a%",
        "/a%4",
        "/a%zz",
        "/%c0%ae%c0%ae/a",  # dots, written too long
        "/a%c0%afb",  # a slash, likewise
        "/%e0%80%af",
        "/%ff",
        "/%ed%a0%80",  # half of a pair
        "/%EF%BC%8E%EF%BC%8E/a",  # full-width dots
        "/a%EF%BC%8Fb",  # a full-width slash
        "/%E2%80%A5/a",  # a leader of two dots
        "/a%E2%84%80b",  # a/c in one character
        "/\u00e9",
        "/" + "a" * 5000,
    ],
)
def test_paths_that_nobody_forwards(path):
    with pytest.raises(BadPath):
        normalise(path)
    assert not parse("GET /*").allows("GET", path)
    assert allowed([parse("GET /*")], "GET", path) is None


def test_what_is_forwarded_is_what_was_compared():
    rules = [parse("POST /query"), parse("GET /stats/*")]
    assert allowed(rules, "GET", "/s%74ats/%7euser/%e6%b8%af") == "/stats/~user/%E6%B8%AF"
    assert allowed(rules, "POST", "/quer%79") == "/query"
    assert allowed(rules, "GET", "/query") is None


def test_what_is_refused_is_not_repeated():
    with pytest.raises(BadRule) as refused:
        parse("GET /planted//planted")
    assert "planted" not in str(refused.value)
