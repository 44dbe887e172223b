"""What every route shares: the caller, pages by cursor, idempotency keys, problem documents."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Header, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from exchange.errors import BadInput, ExchangeError, Forbidden, Unauthenticated

T = TypeVar("T")
PROBLEM = "application/problem+json"
bearer = HTTPBearer(
    auto_error=False, description="An API token from /oauth/token", scheme_name="token"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as their verified token and the participants' records say."""

    client_id: str
    org_id: str
    roles: frozenset[str]
    scopes: frozenset[str]

    def may(self, *roles: str) -> bool:
        """Whether the caller's organisation holds one of these roles."""
        return not self.roles.isdisjoint(roles)


Authenticate = Callable[[str], Awaitable[Caller]]


def bearer_token(request: Request) -> str:
    """Return the request's bearer token (RFC 6750 section 2.1: header only)."""
    values = request.headers.getlist("authorization")
    if not values:
        raise Unauthenticated(
            "token_missing", "This needs an API token.", hint="POST /oauth/token gives one."
        )
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token or " " in token:
        raise Unauthenticated("token_malformed", "Send one header: Authorization: Bearer TOKEN.")
    return token


def caller_with(scope: str, *roles: str) -> Any:
    """Return a dependency that gives the caller, who needs the scope and one of the roles."""

    async def caller(request: Request, _shown: Annotated[Any, Depends(bearer)]) -> Caller:
        authenticate: Authenticate = request.app.state.authenticate
        known = await authenticate(bearer_token(request))
        request.state.client_id = known.client_id
        if roles and not known.may(*roles):
            raise Forbidden("role_missing", f"Only {' or '.join(roles)} may do this.")
        if scope not in known.scopes:
            raise Forbidden("scope_missing", f"The token lacks the scope {scope}.")
        return known

    return Depends(caller)


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Sent again within 24 hours, the same key gives the first outcome.",
    ),
]
Cursor = Annotated[
    str | None,
    Query(max_length=200, pattern=r"^[A-Za-z0-9_=-]+$", description="`next` of the page before"),
]


class Page(BaseModel, Generic[T]):
    """A page of a list; `next` is the cursor of the page after, absent on the last."""

    items: list[T]
    next: str | None = None


class Body(BaseModel):
    """Base of request bodies: unknown members are refused, strings are trimmed of nothing."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=["urn:exchange:problem:not_found"])
    title: str
    status: int
    detail: str
    hint: str | None = None
    request_id: str | None = None


def encode_cursor(position: str) -> str:
    """Make a page's cursor out of the last item's position."""
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> str | None:
    """Read a cursor back; raises BadInput for one that was not ours."""
    if cursor is None:
        return None
    try:
        padded = cursor.rstrip("=") + "=" * (-len(cursor.rstrip("=")) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise BadInput("cursor_unknown", "This cursor is not one of ours.") from error


def problem_response(request: Request, error: ExchangeError) -> JSONResponse:
    """Answer with an error's public face."""
    document = error.problem()
    document["request_id"] = getattr(request.state, "request_id", None)
    return JSONResponse(
        document, error.status_code, {"Cache-Control": "no-store", **error.headers}, PROBLEM
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses for problem documents of these statuses."""
    return {
        s: {"model": Problem, "description": "Problem", "content": {PROBLEM: {}}} for s in statuses
    }


def language(accept: str | None) -> str:
    """Return `zh` or `en`, whichever an Accept-Language header prefers (RFC 9110 12.5.4)."""
    best, weight = "en", 0.0
    for item in (accept or "").split(","):
        tag, _, parameter = item.strip().partition(";")
        name = tag.strip().lower().split("-")[0]
        quality = parameter.strip().removeprefix("q=") or "1"
        if name in ("en", "zh") and quality.replace(".", "", 1).isdecimal():
            value = float(quality) if len(quality) <= 5 else 0.0
            if value > weight:
                best, weight = name, value
    return best
