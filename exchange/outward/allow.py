"""Which addresses may be reached: those that the operator named, and nothing inward unnamed.

A list has, with commas between: a host (`hooks.example.com`), all below one (`*.example.com`),
either with a port (`hooks.example.com:8443`), an IP address (`[::1]:9000` with a port) or a network
(`10.1.0.0/16`). A URL must name one of them; a host without a port means 443. Whatever a name then
resolves to must be a global address, unless an address or network of the list holds it.

A public list allows what is not on it too: any host by https, at any port, while its addresses are
global ones. Then the list is of what is allowed beyond that.
"""

import ipaddress
import re
from dataclasses import dataclass

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")
# What may stand in a URL: RFC 1123's labels of at most 63 characters, 253 in all.
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")
_WITH_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/]+):([0-9]{1,5})")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str | None
    network: Network | None
    port: int | None

    def names(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is None and self.port is None and port != 443:
            return False
        if self.network is not None:
            address = _address(host)
            return address is not None and address in self.network
        name = self.name or ""
        if name.startswith("*."):
            return host.endswith(name[1:]) and len(host) > len(name) - 1
        return host == name


class BadEntry(ValueError):
    """An entry of the operator's list cannot be read."""


class AddressRefused(ValueError):
    """A URL that is none (`url_invalid`), or leads where nobody may go (`address_not_allowed`)."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class AllowList:
    """The operator's list. Empty and not public, it allows nothing."""

    def __init__(self, text: str, *, public: bool = False) -> None:
        """Read the list; raises BadEntry."""
        self._public = public
        entries = [entry.strip().lower() for entry in text.split(",") if entry.strip()]
        self._rules = [_rule(entry) for entry in entries]

    def check_url(self, url: str) -> str:
        """Return a URL as it will be asked; raises AddressRefused."""
        try:
            if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or " " in url:
                raise httpx.InvalidURL("not a URL")
            read = httpx.URL(url)
            host, port = read.host.lower(), read.port
            if _address(host) is None and not _HOST.fullmatch(host):
                raise httpx.InvalidURL("no name that could be resolved")
            if port is None:
                port = 443 if read.scheme == "https" else 80
            if not 0 < port < 65536:
                raise httpx.InvalidURL("no such port")
        except (httpx.InvalidURL, ValueError) as error:
            raise AddressRefused("url_invalid", "This is no URL (RFC 3986, ASCII).") from error
        if read.scheme not in ("https", "http") or not host:
            raise AddressRefused("url_invalid", "The URL must begin with https://.")
        if read.userinfo or read.fragment or "#" in url:
            raise AddressRefused("url_invalid", "The URL must have no user and no fragment.")
        rules = [rule for rule in self._rules if rule.names(host, port)]
        address = _address(host)
        public = self._public and (address is None or _is_global(address))
        if not rules and not public:
            raise AddressRefused("address_not_allowed", "The operator does not allow this address.")
        if read.scheme == "http" and not any(rule.network or rule.port for rule in rules):
            raise AddressRefused(
                "url_invalid",
                "Plain http is for addresses, and hosts with their port, that the operator named: "
                "use https.",
            )
        return str(read)

    def permits(self, host: str, port: int, resolved: str) -> bool:
        """Whether a connection for this host and port may go to this resolved address."""
        if not self._public and not any(rule.names(host.lower(), port) for rule in self._rules):
            return False
        address = _address(resolved)
        if address is None:
            return False
        named = any(
            rule.network is not None and rule.port in (None, port) and address in rule.network
            for rule in self._rules
        )
        return named or _is_global(address)


def _rule(entry: str) -> _Rule:
    host, port = entry, None
    if found := _WITH_PORT.fullmatch(entry):
        host, port = found[1], int(found[2])
    try:
        network = ipaddress.ip_network(host.strip("[]"))
    except ValueError:
        network = None
    if network is None and ("/" in host or not _NAME.fullmatch(host) or host.isdecimal()):
        raise BadEntry(f"{entry!r} is no host, host:port, *.suffix, address, network.")
    if port is not None and not 0 < port < 65536:
        raise BadEntry(f"{entry!r} has no possible port.")
    return _Rule(host if network is None else None, network, port)


def _address(text: str) -> Address | None:
    """Read an address; one of IPv4 inside an IPv6 one is that of IPv4."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return _inner(address) or address


def _inner(address: Address) -> Address | None:
    if address.version == 4:
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


def _is_global(address: Address) -> bool:
    if address.version == 6 and address.is_site_local:  # RFC 3879: deprecated, and inward still
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
