"""Try a connection, and say in words what came of it."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import httpcore

from exchange.connections.desk import ConnectionDesk, assert_may_change
from exchange.connections.model import Checker, Connection, Finding, Kind
from exchange.connections.vault import Unreadable, place_of
from exchange.errors import NotFound
from exchange.http import Caller
from exchange.outward.allow import AllowList
from exchange.outward.connect import GuardedBackend, Names, NotAllowed, Resolve

CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 10.0
MOST_AT_ONCE = 8
WORDS = {
    "credential_unreadable": "The stored credential cannot be opened any more: replace it.",
    "url_not_allowed": "The operator does not allow this address any more.",
    "address_not_allowed": "The name leads to an address that is not allowed.",
    "name_unknown": "The name is not known: nothing resolves it.",
    "tls_failed": "TLS failed: the certificate is not for this name, has expired, or is of an "
    "authority that is not trusted here; or it does not speak TLS.",
    "timed_out": "There was no answer in time.",
    "not_reached": "The connection is refused or breaks off.",
    "not_http": "What answers there does not speak HTTP.",
    "credential_refused": "It answers, and refuses the credential (401 or 403).",
    "store_unfit": "It answers, not as S3 does for this bucket and region; or it redirects.",
    "bucket_unknown": "It answers, and has no such bucket.",
    "reachable": "It answers.",
}


def finding(code: str) -> Finding:
    """Return what a code says in words."""
    return Finding(code == "reachable", code, WORDS[code])


async def check_connection(
    desk: ConnectionDesk, checkers: Mapping[Kind, Checker], caller: Caller, connection_id: str
) -> Finding:
    """Try a connection as it would be used; raises NotFound."""
    assert_may_change(caller)
    found = await desk.store.with_secret(caller.org_id, connection_id)
    if found is None:
        raise NotFound("connection_unknown", "No such connection of your organisation.")
    connection, sealed = found
    secret: Mapping[str, str] = {}
    try:
        if sealed is not None:
            secret = desk.vault.open(sealed.text, sealed.key_id, place_of(connection))
    except Unreadable:
        return finding("credential_unreadable")
    return await checkers[connection.kind].check(connection, secret)


class ReachChecker:
    """Asks what a connection leads to for one answer by HTTP; its credential goes along if it is
    a header. Nothing that the other side says is repeated.
    """

    def __init__(
        self,
        allow: AllowList,
        *,
        resolve: Resolve | None = None,
        total_seconds: float = TOTAL_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allow, self._seconds = allow, total_seconds
        self._names = Names("connection-names")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or ssl.create_default_context(),
            max_connections=MOST_AT_ONCE,
            max_keepalive_connections=0,
            network_backend=GuardedBackend(allow, resolve or self._names.look_up),
        )

    async def check(self, connection: Connection, secret: Mapping[str, str]) -> Finding:
        """Send HEAD, and say what became of it."""
        return finding(await self._code(connection, secret))

    async def _code(self, connection: Connection, secret: Mapping[str, str]) -> str:
        try:
            self._allow.check_url(connection.url)
        except ValueError:
            return "url_not_allowed"
        headers = [(b"User-Agent", b"exchange-connections")]
        if "header" in secret:
            headers.append((secret["header"].encode("ascii"), secret["value"].encode("ascii")))
        seconds: dict[str, Any] = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        seconds["connect"] = min(CONNECT_SECONDS, self._seconds)
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._pool.stream(
                    "HEAD", connection.url, headers=headers, extensions={"timeout": seconds}
                ) as answer,
            ):
                refused = "header" in secret and answer.status in (401, 403)
                return "credential_refused" if refused else "reachable"
        except NotAllowed:
            return "address_not_allowed"
        except (TimeoutError, httpcore.TimeoutException):
            return "timed_out"
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            return "not_http"
        except (httpcore.NetworkError, OSError) as error:
            return _why(error)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
        self._names.close()


def _why(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return "tls_failed"
        if isinstance(error, socket.gaierror | UnicodeError):
            return "name_unknown"
        error = error.__cause__ or error.__context__
    return "not_reached"
