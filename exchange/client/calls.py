"""Calls to platforms' services under a grant. Each that arrives counts, so none is repeated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from exchange.client.core import Core
from exchange.client.flow import Flow

OnPiece = Callable[[bytes], None]


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


@dataclass(slots=True)
class _Pieces:
    """Hands pieces on as they come."""

    on_piece: OnPiece

    def begin(self, response: httpx.Response) -> None:
        """Take any good answer."""

    def write(self, piece: bytes) -> None:
        """Hand a piece on."""
        self.on_piece(piece)


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
    on_piece: OnPiece | None = None,
) -> Flow[Called]:
    """Call a path of the service; raises Refused for what the gateway or the service refuses."""
    options: dict[str, Any] = {"params": params, "json": json, "content": content}
    response = yield from core.ask(
        method,
        f"/gateway/grants/{grant}/call/{quote(path.removeprefix('/'), safe=SAFE)}",
        scope=f"grant:{grant}",
        headers=headers,
        sink=_Pieces(on_piece) if on_piece is not None else None,
        **{name: value for name, value in options.items() if value is not None},
    )
    body = b"" if on_piece is not None else response.content
    return Called(response.status_code, response.headers, body)


SAFE = "/!$&'()*+,;=:@~-._"
"""What stands in a path as it is (RFC 3986 section 3.3)."""
