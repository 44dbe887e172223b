"""Platforms' services over HTTP: where one is, what lets the exchange in, and calls to it.

Nothing of a connection is kept beyond its sockets: its address and credential are read anew for
each call, and checked against the operator's list, so that a change holds from then on.
"""

import hashlib
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from connectors.forward.headers import Header, sent
from connectors.forward.limits import MOST, Limits, Waits, limits_of
from connectors.forward.pool import Address, Pool
from connectors.forward.problems import upstream_problem
from connectors.forward.wire import Wire
from connectors.gateway.door import Connection, Connections, DoorUnavailable
from connectors.gateway.problems import NotNow
from exchange.formats import canonical
from exchange.outward.allow import AddressRefused, AllowList
from exchange.outward.connect import GuardedBackend, Names, Resolve

_VIA: Final = (b"via", b"1.1 exchange")


class HttpSource:
    """Calls to platforms' services, at addresses that the operator's list allows."""

    def __init__(
        self,
        connections: Connections,
        allow: AllowList,
        *,
        resolve: Resolve | None = None,
        waits: Waits | None = None,
        most: Limits = MOST,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connections, self._allow = connections, allow
        self.waits, self._most = waits or Waits(), most
        self._names = Names("service-names")
        self._backend = GuardedBackend(allow, resolve or self._names.look_up)
        self._tls = tls or ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])
        self._pools: dict[tuple[str, int], Pool] = {}

    async def find(self, org_id: str, source: Mapping[str, Any]) -> "Service":
        """Return the service that an offering's source names; nothing is sent to it yet.

        Raises SourceProblem: `connection_missing`, `source_unusable`, `upstream_address_refused`.
        """
        limits = limits_of(source, self._most)
        connection = await self._connection(org_id, source)
        try:
            url = httpx.URL(self._allow.check_url(connection.url))
        except AddressRefused as error:
            detail = "The platform's service is at an address that is not allowed."
            raise upstream_problem("upstream_address_refused", detail) from error
        if url.query:
            detail = "The platform's connection has a query in its URL."
            raise upstream_problem("source_unusable", detail, status=409)
        host, usual = url.host.lower(), 443 if url.scheme == "https" else 80
        address = Address(url.scheme, host, url.port or usual)
        named: dict[str, Any] = {
            "id": connection.id,
            "url": connection.url,
            "settings": {**connection.settings},
        }
        version = hashlib.sha256(canonical.encode({**source, "connection": named})).hexdigest()
        shown = f"[{host}]" if ":" in host else host
        return Service(
            pool=self._pool(connection, address),
            host=(shown if address.port == usual else f"{shown}:{address.port}").encode("ascii"),
            base=url.raw_path.decode("ascii").rstrip("/"),
            credential=_credential(connection),
            limits=limits,
            waits=self.waits,
            version=version,
        )

    async def aclose(self) -> None:
        """Close every idle connection, and what looks names up."""
        for pool in self._pools.values():
            await pool.close()
        self._names.close()

    async def _connection(self, org_id: str, source: Mapping[str, Any]) -> Connection:
        try:
            found = await self._connections.connection(org_id, str(source.get("connection")))
        except DoorUnavailable as error:
            detail = "Where the platform's service is cannot be told right now."
            raise NotNow("exchange_unavailable", detail) from error
        if found is None or found.kind != "http" or found.org_id != org_id:
            detail = "The offering names a connection that its platform has not."
            raise upstream_problem("connection_missing", detail, status=409)
        return found

    def _pool(self, connection: Connection, address: Address) -> Pool:
        """Return the connection's pool: another for each rev, so that none outlives a change."""
        key = (connection.id, connection.rev)
        if key not in self._pools:
            self._pools = {k: pool for k, pool in self._pools.items() if not pool.is_unused}
            self._pools[key] = Pool(address, self._backend, self._tls, self.waits)
        return self._pools[key]


@dataclass(frozen=True, slots=True)
class Service:
    """A service, and what goes with each call to it. `version` is a hash of all but the secret."""

    pool: Pool = field(repr=False)
    host: bytes
    base: str
    credential: tuple[Header, ...] = field(repr=False)
    limits: Limits
    waits: Waits
    version: str

    def headers(self, given: Iterable[Header], length: int | None) -> list[Header]:
        """Return a request's headers: `length` of its body, -1 where it is chunked, None for none.

        Raises HeaderRefused.
        """
        framing: list[Header] = []
        if length is not None:
            framing = [(b"content-length", str(length).encode("ascii"))]
            if length < 0:
                framing = [(b"transfer-encoding", b"chunked")]
        return sent(given, [(b"host", self.host), *framing, *self.credential, _VIA])

    async def connect(self, grant_id: str) -> "Call":
        """Take a connection on which nothing was sent; raises SourceProblem."""
        return Call(self, grant_id, await self.pool.take(grant_id))


class Call:
    """One call's connection. It ends with `close`, which keeps the connection where it may."""

    def __init__(self, service: Service, grant_id: str, wire: Wire) -> None:
        self.service, self._grant_id, self.wire = service, grant_id, wire
        self._is_closed = False

    async def send_head(
        self, method: str, path: str, query: bytes, headers: list[Header], *, has_body: bool
    ) -> None:
        """Send the request's head; `path` and `query` as they are to arrive.

        Raises SourceProblem, UpstreamBroken, UpstreamSlow.
        """
        if self.wire.is_used and not self.wire.is_silent:  # it was ended meanwhile: nothing is lost
            await self.wire.close()
            self.wire = await self.service.pool.connect()
        target = self.service.base + path + (f"?{query.decode('ascii')}" if query else "")
        await self.wire.send_head(method, target, headers, has_body=has_body)

    async def close(self) -> None:
        """Let go of the connection; never raises, and may be called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self.service.pool.give(self.wire, self._grant_id):
            await self.service.pool.drop(self.wire)


def _credential(connection: Connection) -> tuple[Header, ...]:
    """Return the header that lets the exchange in: its name from the settings, or none at all."""
    name = connection.settings.get("header")
    if name is None and not connection.secret:
        return ()
    try:
        value = connection.secret["value"]
        return ((str(name).lower().encode("ascii"), value.encode("ascii")),)
    except (KeyError, UnicodeEncodeError):
        # From here no cause: it would show the secret to whoever reads logs.
        detail = "The offering's connection has a credential that cannot be sent."
        raise upstream_problem("connection_missing", detail, status=409) from None
