"""What every route shares: the caller, pages by cursor, idempotency keys, problem documents."""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, Protocol, TypeVar

from fastapi import Depends, Header, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from exchange.asked import Asked, asked
from exchange.clock import RFC3339, parse_rfc3339
from exchange.errors import BadInput, ExchangeError, Forbidden, Unavailable
from exchange.presented import Presented, presented
from exchange.strict_json import read_json

T = TypeVar("T")
TITLES = {
    400: "The request cannot be understood",
    401: "No token, or one that is not accepted",
    403: "Not allowed, or refused by policy with reasons and remedies",
    404: "Not found, or not yours to see",
    409: "The current state does not allow this",
    412: "It is not what If-Match names: it was changed meanwhile",
    413: "The body is too large",
    415: "The body is of another type",
    422: "A member or parameter is not valid",
    503: "A part that a safe answer needs is away: nothing was done",
    507: "No room",
}
PROBLEM = "application/problem+json"
# Of what stands on pages, in terminals and in every database: no control characters (C0 with NUL,
# C1), no separators of lines, nothing that turns the direction of what follows.
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$"
SOME_LINES = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
_PARAMETER = re.compile("[A-Za-z0-9_]{1,40}")
_POSITION = re.compile("[0-9a-z_]{1,64}")
bearer = HTTPBearer(
    auto_error=False, description="An API token from /oauth/token", scheme_name="token"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as their verified token and the participants' records say.

    `sight` are the organisations whose affairs it may read beside its own; None means all.
    """

    client_id: str
    org_id: str
    roles: frozenset[str]
    scopes: frozenset[str]
    client_rev: int | None = None  # of the client's record, which writes recheck
    member_id: str | None = None  # the person whose client it is; None: a program
    sight: frozenset[str] | None = frozenset()
    member_rev: int | None = None  # of the member's record, likewise
    member_roles: frozenset[str] = frozenset()
    is_suspended: bool = False  # its organisation: it may read what concerns it, and appeal
    # An auditor's, which give it its sight: ids and revs. Whoever has any has its reads recorded.
    engagements: tuple[tuple[str, int], ...] = ()

    @property
    def operates(self) -> bool:
        """Whether it acts as the operator; a person there needs the scope for it."""
        return "operator" in self.roles and (self.member_id is None or "operate" in self.scopes)

    @property
    def reads_all(self) -> bool:
        """Whether everybody's affairs are open to it: the operator, an auditor of the whole."""
        return self.sight is None

    @property
    def in_sight(self) -> frozenset[str] | None:
        """The organisations whose affairs it may read, its own with them; None means all."""
        return None if self.sight is None else self.sight | {self.org_id}

    def reads(self, *org_ids: str | None) -> bool:
        """Whether it may read what concerns one of these organisations."""
        return self.sight is None or any(o == self.org_id or o in self.sight for o in org_ids if o)

    def may(self, *roles: str) -> bool:
        """Whether the caller's organisation holds one of these roles."""
        return not self.roles.isdisjoint(roles)

    def stands_as(self, *member_roles: str) -> bool:
        """Whether it is a program, or a person with one of these roles in the organisation."""
        return self.member_id is None or not self.member_roles.isdisjoint(member_roles)


class Authenticate(Protocol):
    """Who calls: the token first, once a request, and then what the records say of its client."""

    def verify(self, presented: Presented) -> tuple[Any, str | None]:
        """Return the verified token, and the nonce for the next proof if it is time for one.

        Raises Unauthenticated.
        """

    async def caller(self, token: Any) -> Caller:
        """Return whose a verified token is, as the records say now; raises Unauthenticated."""


RecordRead = Callable[[Caller, Asked], Awaitable[bool]]
TRIES = 3


def caller_with(
    scope: str | None,
    *roles: str,
    while_suspended: bool = False,
    own_affairs: bool = False,
) -> Any:
    """Return a dependency that gives the caller, who needs the scope and one of the roles.

    Of several scopes, written with spaces between, any one will do; None asks for none. Of a
    suspended organisation it may read, and change something only `while_suspended`.

    What an auditor reads is recorded here, before the route begins. A route of `own_affairs` is not
    recorded and gives its caller no sight beyond its own; nor does anybody change what others have
    by an engagement to read.
    """
    wanted = (scope or "").split()

    def check(known: Caller, request: Request) -> None:
        if roles and not known.may(*roles):
            raise Forbidden(
                "role_missing",
                f"Only an organisation that is {' or '.join(roles)} may do this.",
                hint="GET /v1/me says what yours is; the operator registers its roles.",
            )
        lacks = bool(wanted) and known.scopes.isdisjoint(wanted)
        changes = request.method not in _READS and not while_suspended
        if known.is_suspended and (changes or lacks):
            raise Forbidden(
                "organisation_suspended",
                "Your organisation is suspended: it may read its own record, requests, grants and "
                "holds, and appeal.",
                hint="GET /v1/holds?open=true says who suspended it, since when and why.",
            )
        if lacks:
            raise Forbidden(
                "scope_missing",
                f"The token lacks the scope {' or '.join(wanted)}.",
                hint="GET /v1/me says what you may; some things only people with a role may do.",
            )

    async def caller(request: Request, _shown: Annotated[Any, Depends(bearer)]) -> Caller:
        authenticate: Authenticate = request.app.state.authenticate
        token, request.state.dpop_nonce = authenticate.verify(presented(request))
        for _ in range(TRIES):
            known = await authenticate.caller(token)
            request.state.client_id = known.client_id
            check(known, request)
            if not known.engagements:
                _check_query(request)
                return known
            if own_affairs or request.method not in _READS:
                _check_query(request)
                return replace(known, sight=frozenset(), engagements=())
            record: RecordRead = request.app.state.record_read
            if await record(known, _asked(request)):
                _check_query(request)
                return known
        raise Unavailable("busy", "Your engagements change just now.", hint="Try again.")

    caller.own_affairs = own_affairs  # type: ignore[attr-defined]  # for whoever lists the routes
    return Depends(caller)


_READS = ("GET", "HEAD")


def _check_query(request: Request) -> None:
    """Refuse what a route knows no parameter for: a filter not applied would show everything."""
    if not request.query_params:
        return
    route: APIRoute = request.scope["route"]
    known = _known(route.dependant)
    unknown = dict.fromkeys(name for name in request.query_params if name not in known)
    if unknown:
        named = [name if _PARAMETER.fullmatch(name) else "?" for name in [*unknown][:20]]
        raise BadInput(
            "parameter_unknown",
            "; ".join(f"query.{name}: there is no such parameter" for name in dict.fromkeys(named)),
            hint=f"This route takes {', '.join(sorted(known))}." if known else "It takes none.",
            status=422,
        )


def _asked(request: Request) -> Asked:
    route: APIRoute = request.scope["route"]
    query = request.query_params.multi_items()
    return asked(route.path, request.path_params, query, _known(route.dependant))


def _known(dependant: Dependant) -> frozenset[str]:
    """Return the names of the query's parameters that a route knows."""
    names = frozenset(field.alias for field in dependant.query_params)
    return names.union(*(_known(each) for each in dependant.dependencies))


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
    Query(max_length=200, pattern=r"^[A-Za-z0-9_-]+$", description="`next` of the page before"),
]

Moment = Annotated[
    str | None,
    Query(
        pattern=RFC3339,
        max_length=32,
        examples=["2026-01-01T00:00:00Z"],
        description="RFC 3339; in a URL its + is written %2B",
    ),
]


def milliseconds(name: str, text: str | None) -> int | None:
    """Read a moment; raises BadInput (422) for one that no calendar has."""
    try:
        return None if text is None else parse_rfc3339(text)
    except ValueError as error:
        raise BadInput(
            "time_unknown",
            f"`{name}` is no moment of the calendar.",
            hint="Write it as 2026-01-01T00:00:00Z",
            status=422,
        ) from error


class Page(BaseModel, Generic[T]):
    """A page of a list; `next` is the cursor of the page after, absent on the last."""

    items: list[T]
    next: str | None = None


class JSONRoute(APIRoute):
    """A route whose body, if it takes one, is JSON read strictly: `route_class` of its router."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Return the framework's handler, reading with `_StrictRequest`."""
        handle, takes_body = super().get_route_handler(), self.body_field is not None

        async def strictly(request: Request) -> Response:
            if not takes_body:
                return await handle(request)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise BadInput(
                    "media_type",
                    "The body must be JSON.",
                    status=415,
                    hint="Send Content-Type: application/json",
                )
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = read_json(await self.body())
        return self._json


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
        padded = cursor + "=" * (-len(cursor) % 4)
        position = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        position = ""
    if not _POSITION.fullmatch(position) or encode_cursor(position) != cursor:
        raise BadInput("cursor_unknown", "This cursor is not one of ours.")
    return position


def problem_response(request: Request, error: ExchangeError) -> JSONResponse:
    """Answer with an error's public face; a challenge says where the routes' metadata is."""
    document = error.problem()
    document["request_id"] = getattr(request.state, "request_id", None)
    metadata = getattr(request.app.state, "resource_metadata", None)
    headers = {"Cache-Control": "no-store", **error.answer_headers(metadata)}
    return JSONResponse(document, error.status_code, headers, PROBLEM)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses for problem documents of these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}  # app.py puts it there
    return {
        s: {"description": TITLES[s], "content": {PROBLEM: {"schema": schema}}} for s in statuses
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
