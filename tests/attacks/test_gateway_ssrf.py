"""Platforms who would have the gateway call inward: every way ends before a byte is sent there.

Registering such a connection is refused too; here it stands in the database already, as if the
operator's list had been wider before, or the name's owner had moved it since.
"""

from collections.abc import Iterator, Sequence

import pytest

from exchange.outward.allow import AllowList
from tests.support.called import CONNECTION, Called, Pair, calling, make_called, paired
from tests.support.upstream import Upstream, answer, raw

ANY = ("127.0.0.1", "::1", "93.184.216.34", "2606:2800:220:1::1")
INWARD = {
    "loopback": "127.0.0.1",
    "another loopback": "127.8.8.8",
    "this host": "0.0.0.0",
    "private 10": "10.0.0.7",
    "private 172": "172.16.0.1",
    "private 192": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "link-local": "169.254.1.1",
    "cloud metadata": "169.254.169.254",
    "benchmarking": "198.18.0.1",
    "documentation": "203.0.113.9",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
    "IPv6 loopback": "::1",
    "IPv6 unspecified": "::",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local with a zone": "fe80::1%lo",
    "IPv6 unique local": "fd00::1",
    "IPv6 site-local": "fec0::1",
    "IPv6 multicast": "ff02::1",
    "IPv6 documentation": "2001:db8::1",
    "IPv4-mapped": "::ffff:127.0.0.1",
    "IPv4-mapped, in hex": "::ffff:7f00:1",
    "IPv4-mapped metadata": "::ffff:169.254.169.254",
    "IPv4-compatible": "::7f00:1",
    "IPv4-translated": "::ffff:0:7f00:1",
    "NAT64": "64:ff9b::7f00:1",
    "NAT64 of a network's own": "64:ff9b:1::7f00:1",
    "6to4": "2002:7f00:1::",
    "Teredo": "2001:0:7f00:1::",
    "ISATAP": "fe80::5efe:7f00:1",
}
ODD_URLS = {
    "decimal": "http://2130706433:{port}",
    "hexadecimal": "http://0x7f000001:{port}",
    "octal": "http://0177.0.0.1:{port}",
    "short": "http://127.1:{port}",
    "zero": "http://0:{port}",
    "hexadecimal parts": "http://0x7f.0.0.0x1:{port}",
    "full-width digits": "http://１２７.０.０.１:{port}",
    "ideographic dots": "http://127。0。0。1:{port}",
    "trailing dot": "http://127.0.0.1.:{port}",
    "localhost": "http://localhost:{port}",
    "userinfo": "http://good.example@127.0.0.1:{port}",
    "userinfo with a port": "http://good.example:443@127.0.0.1:{port}",
    "fragment before": "http://127.0.0.1:{port}#@good.example",
    "backslash": "http://good.example\\@127.0.0.1:{port}",
    "mapped": "http://[::ffff:127.0.0.1]:{port}",
    "mapped in hex": "http://[::ffff:7f00:1]:{port}",
    "NAT64": "http://[64:ff9b::7f00:1]:{port}",
    "a zone": "http://[fe80::1%25lo]:{port}",
    "a zone unescaped": "http://[fe80::1%lo]:{port}",
    "a tab": "http://127.0.0.1\t:{port}",
    "a line break": "http://127.0.0.1:{port}/\r\nX: y",
    "another scheme": "gopher://127.0.0.1:{port}",
    "a file": "file:///etc/passwd",
    "a unix socket": "http+unix://%2Fvar%2Frun%2Fx.sock/",
    "no scheme": "//127.0.0.1:{port}",
    "no host": "http://:{port}",
    "port zero": "http://127.0.0.1:0",
    "a port too large": "http://127.0.0.1:65616",
    "an escaped host": "http://%31%32%37.0.0.1:{port}",
}


class Names:
    """A name server that an attacker owns: what each question is answered is theirs to say."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), 0

    async def look_up(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return list(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


class Dialled:
    """Which addresses were dialled, in the network's stead."""

    def __init__(self, called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
        self.to: list[str] = []
        plain = called.source._backend._plain

        async def dial(host: str, port: int, timeout: float | None = None, **_: object):
            self.to.append(host)
            return await real("127.0.0.1", port, timeout)

        real = plain.connect_tcp
        monkeypatch.setattr(plain, "connect_tcp", dial)


@pytest.fixture(scope="module")
def served() -> Iterator[Pair]:
    """A gateway whose operator allows nothing but public addresses, by https."""
    with paired(allow="") as pair:
        yield pair


@pytest.fixture
def pair(served: Pair) -> Pair:
    served.reset()
    served.upstream.accepted = 0
    return served


def nothing_sent(pair: Pair) -> None:
    assert pair.upstream.accepted == 0
    assert pair.called.door.uses == {}


@pytest.mark.parametrize("name", ODD_URLS)
def test_odd_url(pair: Pair, name: str) -> None:
    pair.called.connect(url=ODD_URLS[name].format(port=pair.upstream.port))
    pair.refused(502, "upstream_address_refused")
    nothing_sent(pair)


@pytest.mark.parametrize("name", INWARD)
def test_address_named_outright(pair: Pair, name: str) -> None:
    address = INWARD[name]
    host = f"[{address}]" if ":" in address else address
    for scheme in ("http", "https"):
        pair.called.connect(url=f"{scheme}://{host}:{pair.upstream.port}")
        pair.refused(502, "upstream_address_refused")
    nothing_sent(pair)


@pytest.mark.parametrize("name", INWARD)
def test_name_that_resolves_inward(pair: Pair, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names, dialled = Names([INWARD[name]]), Dialled(pair.called, monkeypatch)
    monkeypatch.setattr(pair.called.source._backend, "_resolve", names.look_up)
    pair.called.connect(url=f"https://rebound.example:{pair.upstream.port}")
    pair.refused(502, "upstream_address_refused")
    assert (names.asked, dialled.to) == (1, [])
    nothing_sent(pair)


def test_name_that_resolves_inward_and_outward(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(["127.0.0.1", "93.184.216.34", "10.0.0.1"])
    dialled = Dialled(pair.called, monkeypatch)
    monkeypatch.setattr(pair.called.source._backend, "_resolve", names.look_up)
    pair.called.connect(url=f"https://mixed.example:{pair.upstream.port}")
    assert pair.ask().status_code in (502, 504)  # it speaks no TLS
    assert set(dialled.to) == {"93.184.216.34"}
    assert pair.called.door.uses == {}


def test_name_that_changes_between_check_and_connection(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that was checked is the one connected to: nobody asks for the name again."""
    names, dialled = Names(["93.184.216.34"], ["127.0.0.1"]), Dialled(pair.called, monkeypatch)
    monkeypatch.setattr(pair.called.source._backend, "_resolve", names.look_up)
    pair.called.connect(url=f"https://rebinding.example:{pair.upstream.port}")
    assert pair.ask().status_code in (502, 504)
    assert names.asked == 1
    assert dialled.to == ["93.184.216.34"]
    pair.refused(502, "upstream_address_refused")  # by now it leads inward
    assert names.asked == 2
    assert dialled.to == ["93.184.216.34"]


def test_plain_http_to_a_public_name(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(["93.184.216.34"])
    monkeypatch.setattr(pair.called.source._backend, "_resolve", names.look_up)
    pair.called.connect(url=f"http://plain.example:{pair.upstream.port}")
    pair.refused(502, "upstream_address_refused")
    assert names.asked == 0
    nothing_sent(pair)


def test_connection_of_another_platform(pair: Pair) -> None:
    ours = next(iter(pair.called.connections.kept.values()))
    theirs = "con_" + "8" * 26
    pair.called.connections.kept[("org_" + "9" * 26, theirs)] = ours
    pair.called.offer(connection=theirs)
    pair.refused(409, "connection_missing")
    for odd in (None, 7, ["x"], {"id": CONNECTION}, "", "../" + CONNECTION):
        pair.called.offer(connection=odd)
        pair.refused(409, "connection_missing")
    nothing_sent(pair)


def test_connection_of_another_kind(pair: Pair) -> None:
    pair.called.connect(kind="s3")
    try:
        pair.refused(409, "connection_missing")
        nothing_sent(pair)
    finally:
        pair.called.connect(kind="http")


@pytest.mark.parametrize(
    "path",
    [
        *("@127.0.0.1/", ":80@127.0.0.1", "http://127.0.0.1/", "//127.0.0.1/", ".evil.example/"),
        *("x?@127.0.0.1", "x?url=http://127.0.0.1/", "\\127.0.0.1", "%2f%2f127.0.0.1"),
    ],
)
def test_path_that_would_be_an_address(path: str) -> None:
    """The address is the connection's: a path goes behind it, or nowhere."""
    with paired() as pair:
        status = pair.ask(path).status_code
        assert status in (200, 400)
        assert len(pair.upstream.came) == (status == 200)
        for came in pair.upstream.came:
            assert came.target.startswith("/")
            assert came.one("host") == f"127.0.0.1:{pair.upstream.port}"


@pytest.mark.parametrize(
    "header",
    [
        *("Host: 127.0.0.1", "X-Forwarded-Host: 127.0.0.1", "Forwarded: host=127.0.0.1"),
        *("X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X-Host: 127.0.0.1"),
        *("X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "X-HTTP-Method: DELETE"),
        *("Proxy-Authorization: Basic eDp5", "X-Real-IP: 127.0.0.1", "Via: 1.0 evil"),
        *("Exchange-Grant: forged", "Exchange-Use: forged", "X-Api-Key: forged"),
        *("Exchange_Grant: forged", "X_Api_Key: forged", "x.api.key: forged"),
        *("Connection: x-api-key, exchange-use, via, host", "Cookie: a=b", "Upgrade: h2c"),
    ],
)
def test_header_that_would_steer_the_service(header: str) -> None:
    from tests.unit.connectors.served import ask, connect, read_head

    with paired() as pair, connect(pair.called.port) as connection:
        lines = [f"Authorization: {pair.called.token}", header]
        ask(connection, pair.called.url("x").split(str(pair.called.port))[1], *lines)
        if header.lower().startswith("host:"):  # a second one: the request names no host
            assert read_head(connection)[0] == 400
            assert pair.upstream.came == []
            return
        assert read_head(connection)[0] == 200
        (came,) = pair.upstream.came
        name, _, value = header.partition(": ")
        assert (name.lower(), value) not in came.headers
        assert name.lower().replace("_", "-") not in {"cookie", "upgrade", "connection"} & {
            each for each, _ in came.headers
        }
        assert came.one("x-api-key") != "forged"
        assert came.one("exchange-use") in pair.called.door.uses
        assert came.one("via") == "1.1 exchange"
        assert (came.method, came.target) == ("GET", "/x")


def test_redirect_inward_is_not_followed() -> None:
    with Upstream() as inward, paired() as pair:
        for status in ("301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent"):
            there = f"Location: {inward.url}/admin".encode()
            pair.upstream.act = raw(answer(b"", status, there))
            pair.refused(502, "upstream_redirects")
        pair.upstream.act = raw(answer(b"", "200 OK", b"Refresh: 0;url=" + inward.url.encode()))
        assert "refresh" not in pair.ask().headers
        assert inward.accepted == 0


def test_list_that_was_narrowed_since_holds_from_the_next_call_on() -> None:
    with paired() as pair:
        assert pair.ask().status_code == 200
        pair.called.source._allow = AllowList("", public=True)
        pair.refused(502, "upstream_address_refused")
        assert len(pair.upstream.came) == 1


@pytest.mark.parametrize("allow", ["127.0.0.1", "127.0.0.0/8", "127.0.0.1:{port}", "10.0.0.1"])
def test_save_where_the_operator_allows_an_address(allow: str) -> None:
    with Upstream() as upstream:
        listed = allow.format(port=upstream.port)
        with calling(make_called(upstream.url, allow=listed)) as called:
            pair = Pair(called, upstream)
            if allow == "10.0.0.1":
                pair.refused(502, "upstream_address_refused")
            else:
                assert pair.ask().status_code == 200
            assert upstream.accepted == (allow != "10.0.0.1")


def test_name_that_the_operator_allows_may_not_lead_inward_by_itself() -> None:
    """Its address must be allowed too: who owns the name does not own the operator's network."""
    with Upstream() as upstream:
        url = f"http://service.example:{upstream.port}"
        for listed, status in [
            (f"service.example:{upstream.port}", 502),
            (f"service.example:{upstream.port}, 127.0.0.1", 200),
        ]:
            names = Names(["127.0.0.1"])
            with calling(make_called(url, allow=listed, resolve=names.look_up)) as called:
                assert Pair(called, upstream).ask().status_code == status
        (came,) = upstream.came
        assert came.one("host") == f"service.example:{upstream.port}"
