"""Calls to platforms' services under a grant. Each that arrives counts, so none is repeated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx

from exchange.client.core import Core
from exchange.client.cut import cut_call
from exchange.client.errors import NotReachable, Refused
from exchange.client.flow import Flow
from exchange.client.transfer import because

OnPiece = Callable[[bytes], None]
OnHead = Callable[[int, Mapping[str, str]], None]

CONNECT_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 3660.0
"""Longest wait for a piece of an answer: longer than the hour that a call may take at most, so it
is the gateway that says when a call has taken too long."""


@dataclass(frozen=True, slots=True)
class Called:
    """What a platform's service answered; without `content` where its pieces were taken."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(default=b"", repr=False)

    @property
    def text(self) -> str:
        """The answer as text, in the charset that it names, or UTF-8."""
        return self._response().text

    def json(self) -> Any:
        """Return the answer's JSON; raises ValueError."""
        return self._response().json()

    def _response(self) -> httpx.Response:
        kind = {"Content-Type": self.headers.get("content-type", "")}
        return httpx.Response(self.status, headers=kind, content=self.content)


class _Answer:
    """Takes a good answer as it comes: hands pieces on, or keeps them."""

    def __init__(self, on_head: OnHead | None, on_piece: OnPiece | None) -> None:
        self._on_head, self._on_piece = on_head, on_piece
        self._kept: list[bytes] = []
        self.is_begun, self.received = False, 0

    def begin(self, response: httpx.Response) -> None:
        """See the head."""
        self.is_begun = True
        if self._on_head is not None:
            self._on_head(response.status_code, response.headers)

    def write(self, piece: bytes) -> None:
        """Take a piece."""
        self.received += len(piece)
        (self._on_piece or self._kept.append)(piece)

    def content(self, response: httpx.Response) -> bytes:
        """Return what was kept, out of the coding that a service chose unasked."""
        whole = b"".join(self._kept)
        coded = {"Content-Encoding": response.headers.get("content-encoding", "identity")}
        try:
            return httpx.Response(response.status_code, headers=coded, content=whole).content
        except httpx.DecodingError:
            return whole


def call(
    core: Core,
    grant: str,
    path: str,
    *,
    method: str = "GET",
    params: Mapping[str, Any] | None = None,
    json: Any = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    on_head: OnHead | None = None,
    on_piece: OnPiece | None = None,
    timeout: float | None = None,
) -> Flow[Called]:
    """Call a path of the service; `timeout` is the longest silence in seconds.

    Raises Refused for what the gateway refuses, ServiceRefused for what the service does, CallCut
    where an answer had begun and broke off.
    """
    options: dict[str, Any] = {"params": params, "json": json, "content": content}
    answer = _Answer(on_head, on_piece)
    silence = SILENCE_SECONDS if timeout is None else timeout
    try:
        response = yield from core.ask(
            method,
            f"/gateway/grants/{grant}/call/{quote(path.removeprefix('/'), safe=SAFE)}",
            scope=f"grant:{grant}",
            headers={"Accept-Encoding": "identity", **(headers or {})},
            sink=answer,
            timeout=httpx.Timeout(silence, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            **{name: value for name, value in options.items() if value is not None},
        )
    except NotReachable as error:
        if not answer.is_begun or isinstance(error.__cause__, httpx.TimeoutException):
            raise
        raise (yield from cut_call(core, grant, answer.received, error)) from error
    except Refused as refusal:
        yield from because(core, grant, refusal)
        raise
    body = answer.content(response) if on_piece is None else b""
    if not answer.is_begun:  # a 304 has none
        body = response.content
    return Called(response.status_code, response.headers, body)


SAFE = "/!$&'()*+,;=:@~-._"
"""What stands in a path as it is (RFC 3986 section 3.3)."""
