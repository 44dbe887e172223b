"""Connections to platforms' stores: only to addresses that were checked, once each, within bounds.

For the minio package, which speaks through a urllib3 PoolManager. A name is resolved here, each
address is checked, and the connection goes to that very address; TLS still proves the name. No
redirect is followed, no proxy is used, nothing is tried again, and an answer that is read whole is
read up to a bound.
"""

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.response import BaseHTTPResponse
from urllib3.util.connection import create_connection

from exchange.outward.allow import AllowList

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 20.0
"""Longest silence of a store; what is read whole must also be whole by then."""

ANSWER_BYTES: Final = 8 << 20
"""Longest answer that is read whole: a page of a list has 1,000 keys of 1,024 bytes at most."""

MOST_ADDRESSES: Final = 3
_KEPT: Final = 32  # idle connections to one store
_BLOCK: Final = 256 * 1024  # of what is sent
_DATA = (200, 204, 206)
_until: ContextVar[float] = ContextVar("until")

Resolve = Callable[[str, int], Sequence[str]]


class NotAllowed(HTTPError):
    """The name resolves to no address that the operator allows."""


class Redirected(HTTPError):
    """The store points elsewhere, where the gateway does not follow."""


class Unbounded(HTTPError):
    """The store's answer does not end, or did not begin in time."""


def look_up(host: str, port: int) -> list[str]:
    """Return a host's addresses; raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """No request of this thread begins once so many seconds are over."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


class CheckedPool(PoolManager):
    """A PoolManager whose connections go where the list allows."""

    def __init__(
        self,
        allow: AllowList,
        resolve: Resolve = look_up,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(
            timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            maxsize=_KEPT,
            blocksize=_BLOCK,
            ssl_context=ssl_context or ssl.create_default_context(),
        )
        plain, secure = _connections(allow, resolve)
        http = type("Http", (HTTPConnectionPool,), {"ConnectionCls": plain})
        https = type("Https", (HTTPSConnectionPool,), {"ConnectionCls": secure})
        self.pool_classes_by_scheme = {"http": http, "https": https}

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> BaseHTTPResponse:
        """Ask once. Raises HTTPError, of which NotAllowed, Redirected and Unbounded are ours."""
        if time.monotonic() > _until.get(float("inf")):
            raise Unbounded("the store takes too long")
        whole = options.pop("preload_content", True)
        options |= {"retries": False, "preload_content": False}
        response = super().urlopen(method, url, redirect=False, **options)
        if 300 <= response.status < 400 and response.status != 304:
            response.close()
            raise Redirected("the store redirects")
        if whole or response.status not in _DATA:
            return _bounded(method, response)
        return response


def _connections(
    allow: AllowList, resolve: Resolve
) -> tuple[type[HTTPConnection], type[HTTPSConnection]]:
    def connect(self: Any) -> socket.socket:
        try:
            found = resolve(self.host, self.port)
        except (OSError, UnicodeError) as error:  # the latter for what no name can be
            raise NewConnectionError(self, "the name cannot be resolved") from error
        allowed = [each for each in found if allow.permits(self.host, self.port, each)]
        if not allowed:
            raise NotAllowed("the name resolves to no allowed address")
        last: OSError | None = None
        for address in allowed[:MOST_ADDRESSES]:
            try:
                return create_connection(
                    (address, self.port),
                    self.timeout,
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                )
            except OSError as error:
                last = error
        raise NewConnectionError(self, "no address answers") from last

    # As urllib3's own connections through SOCKS do it.
    plain = type("Plain", (HTTPConnection,), {"_new_conn": connect})
    secure = type("Secure", (HTTPSConnection,), {"_new_conn": connect})
    return cast("type[HTTPConnection]", plain), cast("type[HTTPSConnection]", secure)


def _bounded(method: str, response: BaseHTTPResponse) -> BaseHTTPResponse:
    """Read an answer whole, within bounds of size and time."""
    until = time.monotonic() + READ_SECONDS
    body = io.BytesIO()
    try:
        while method != "HEAD" and (piece := response.read(64 * 1024, decode_content=False)):
            body.write(piece)
            if body.tell() > ANSWER_BYTES or time.monotonic() > until:
                raise Unbounded("the store's answer does not end")
    except BaseException:
        response.close()
        raise
    response.release_conn()
    body.seek(0)
    return HTTPResponse(
        body,
        headers=response.headers,
        status=response.status,
        reason=response.reason,
        preload_content=True,
        decode_content=False,
        request_method=method,
    )
