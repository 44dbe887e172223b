"""Which addresses the operator's list allows, when a URL is named and when a connection is made."""

import httpcore
import pytest

from exchange.outward.allow import AddressRefused, AllowList, BadEntry
from exchange.outward.connect import GuardedBackend, NotAllowed

LIST = "hooks.example.com, *.partner.example, port.example:8443, 10.1.0.0/16, 127.0.0.1:9000, [::1]"


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a?b=c",
        "https://HOOKS.example.com:443/",
        "https://a.partner.example/",
        "https://a.b.partner.example/",
        "http://port.example:8443/x",
        "http://10.1.2.3/",
        "http://127.0.0.1:9000/",
        "http://[::1]:1/",
    ],
)
def test_what_the_list_names_may_be_registered(url):
    assert AllowList(LIST).check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example/",  # the suffix is of names below
        "https://evilpartner.example/",
        "https://hooks.example.com.evil.example/",
        "https://hooks.example.com./",
        "http://hooks.example.com/",  # not over plain http
        "https://port.example/",
        "http://10.2.0.1/",
        "http://127.0.0.1:9001/",
        "http://2130706433:9000/",
        "http://0x7f.1:9000/",
        "http://127.1:9000/",
        "http://169.254.169.254/latest",
        "https://user:secret@hooks.example.com/",
        "https://evil.example#@hooks.example.com/",
        "https://evil.example\\@hooks.example.com/",
        "https://hooks.example.com/#x",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/" + "a" * 2000,
        "https://höoks.example.com/",
        "https://hooks.example.com:444/",  # no port that was named
        "https://" + "a" * 64 + ".partner.example/",  # no name that could be resolved
        "https://a..partner.example/",
        "https://*.partner.example/",
        "https://a%2e.partner.example/",
    ],
)
def test_anything_else_may_not(url):
    with pytest.raises(AddressRefused) as refused:
        AllowList(LIST).check_url(url)
    assert "secret" not in refused.value.detail


def test_an_empty_list_allows_nothing():
    for url in ("https://hooks.example.com/", "http://127.0.0.1/", "https://8.8.8.8/"):
        with pytest.raises(AddressRefused):
            AllowList(" , ").check_url(url)
        assert not AllowList("").permits("8.8.8.8", 443, "8.8.8.8")


INWARD = (
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
    *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
    *(
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fe80::1%eth0",
        "fec0::1",
        "nonsense",
    ),
)


@pytest.mark.parametrize("address", INWARD)
def test_an_allowed_name_may_not_lead_inward(address):
    allow = AllowList(LIST.replace(", [::1]", ""))
    assert not allow.permits("hooks.example.com", 443, address)


def test_it_may_lead_outward_and_to_networks_that_the_operator_named():
    allow = AllowList(LIST)
    assert allow.permits("hooks.example.com", 443, "93.184.215.14")
    assert allow.permits("hooks.example.com", 443, "2606:4700:4700::1111")
    assert allow.permits("hooks.example.com", 443, "10.1.9.9")
    assert allow.permits("hooks.example.com", 443, "::ffff:10.1.9.9")
    assert not allow.permits("other.example.com", 443, "93.184.215.14")
    assert not allow.permits("hooks.example.com", 443, "127.0.0.1")


@pytest.mark.parametrize("text", ["a b", "http://x", "x/24", "*", "a..b", "x:99999", "10.0.0.1/8"])
def test_an_entry_that_cannot_be_read_is_refused(text):
    with pytest.raises(BadEntry):
        AllowList(f"ok.example,{text}")


async def test_a_name_that_changes_its_mind_is_checked_at_each_connection():
    """DNS rebinding: the first answer was outward, and that tells nothing of the second."""
    answers = iter([["203.0.113.9"], ["127.0.0.1", "::1"]])

    async def resolve(host, port):
        return next(answers)

    connected = []

    class Plain(httpcore.AsyncNetworkBackend):
        async def connect_tcp(self, host, port, timeout=None, **_):
            connected.append((host, port))
            return httpcore.AsyncMockStream([])

    backend = GuardedBackend(AllowList("hooks.example.com, 203.0.113.0/24"), resolve)
    backend._plain = Plain()
    await backend.connect_tcp("hooks.example.com", 443, 1.0)
    with pytest.raises(NotAllowed):
        await backend.connect_tcp("hooks.example.com", 443, 1.0)
    with pytest.raises(NotAllowed):
        await backend.connect_unix_socket("/run/x")
    assert connected == [("203.0.113.9", 443)]


@pytest.mark.parametrize("fault", [OSError("no"), UnicodeError("label too long")])
async def test_a_name_that_cannot_be_resolved_is_a_failure_like_others(fault):
    """Whatever the resolver raises: what nobody counts would be tried for ever."""

    async def resolve(host, port):
        raise fault

    backend = GuardedBackend(AllowList("*.example.com"), resolve)
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp("a.example.com", 443, 1.0)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.example.org/", True),
        ("https://api.example.org:8443/", True),
        ("https://93.184.215.14/", True),
        ("http://api.example.org/", False),  # plain http only where the operator named it
        ("https://127.0.0.1/", False),
        ("https://[::ffff:10.0.0.1]/", False),
        ("https://169.254.169.254/", False),
        ("https://user@api.example.org/", False),
        ("http://127.0.0.1:9000/", True),
    ],
)
def test_a_public_list_allows_the_outward_and_what_is_named(url, allowed):
    allow = AllowList("127.0.0.1:9000", public=True)
    if allowed:
        assert allow.check_url(url)
    else:
        with pytest.raises(AddressRefused):
            allow.check_url(url)


@pytest.mark.parametrize("address", INWARD)
def test_what_a_public_list_allows_may_not_lead_inward(address):
    allow = AllowList("127.0.0.1:9000", public=True)
    assert not allow.permits("api.example.org", 443, address)
    assert allow.permits("api.example.org", 443, "93.184.215.14")
    assert allow.permits("127.0.0.1", 9000, "127.0.0.1")
