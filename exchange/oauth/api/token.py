"""Routes of the authorization server: token, metadata, keys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from exchange.clock import now_ms
from exchange.errors import BadInput
from exchange.formats.shown import Nonces
from exchange.http import language, problem_response
from exchange.ledger.ledger import Ledger
from exchange.oauth import assertion, metadata, rar, token_endpoint
from exchange.oauth.form import MAX_BYTES, MEDIA_TYPE, check_content_type, parse_form
from exchange.oauth.keys import TokenKeys
from exchange.oauth.limits import EndpointLimits
from exchange.oauth.model import Access, Refused
from exchange.oauth.secret import SecretFits, not_basic
from exchange.oauth.server import GRANT_TYPES
from exchange.oauth.token_endpoint import Incoming, TokenEndpoint, Visitor
from exchange.participants.store import Participants
from exchange.settings import Settings

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
PUBLIC = {"Cache-Control": "public, max-age=300"}
OTHER_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]
FORM = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": list(GRANT_TYPES)},
        "scope": {
            "type": "string",
            "description": "Names, or grant:GRANT_ID; absent: all that your roles allow",
        },
        "authorization_details": {
            "type": "string",
            "maxLength": rar.MAX_LENGTH,
            "description": "In place of scope: JSON, an array of one object, for access to an "
            f"offering or a token of a grant (RFC 9396). {rar.EXAMPLE}",
        },
        "resource": {
            "type": "string",
            "description": "Where the token will be shown (RFC 8707): the issuer, or the gateway",
        },
        "client_assertion_type": {"type": "string", "enum": [assertion.TYPE]},
        "client_assertion": {
            "type": "string",
            "maxLength": 8192,
            "description": "A JWT signed with a key of the client: iss and sub its id, aud the "
            "issuer, jti once, exp at most 300 s ahead (RFC 7523)",
        },
        "assertion": {
            "type": "string",
            "maxLength": 8192,
            "description": "With the grant_type of RFC 7523 section 2.1, of a client that the "
            "operator registered so: a JWT like client_assertion, alone, with scope in it",
        },
        "client_id": {"type": "string"},
        "client_secret": {
            "type": "string",
            "description": "Only of a client that the operator registered with a secret",
        },
    },
    "example": {
        "grant_type": "client_credentials",
        "scope": "catalog requests",
        "client_assertion_type": assertion.TYPE,
        "client_assertion": "eyJhbGciOiJFUzI1NiIsImtpZCI6Ii4uLiJ9.eyJpc3MiOiJjbGlfLi4uIn0.c2ln",
    },
}


class TokenAnswer(BaseModel):
    """A successful answer (RFC 6749 section 5.1); to a request for access with its grant."""

    access_token: str = Field(description="A JWT (RFC 9068)")
    token_type: str = Field(examples=["DPoP"], description="DPoP (RFC 9449), or Bearer")
    expires_in: int = Field(description="Seconds", examples=[300])
    scope: str = Field(examples=["catalog requests"])
    authorization_details: list[dict[str, Any]] | None = None
    grant_id: str | None = None
    grant_ends_at: str | None = Field(None, description="Of a token for a grant")
    access_request: str | None = Field(None, description="Its id")
    receipt: str | None = Field(
        None, description="Of a grant that was given just now: proves that the log holds it"
    )


class TokenError(BaseModel):
    """An error (RFC 6749 section 5.2); a refusal by policy says why and what would help.

    `authorization_pending`: people decide; ask again with the same details after `interval`.
    """

    error: str = Field(examples=["invalid_client"])
    error_description: str
    reasons: list[Any] | None = None
    remedies: list[Any] | None = None
    access_request: str | None = Field(None, description="The request's id")
    access_request_uri: str | None = None
    interval: int | None = Field(None, description="Seconds")
    closed: dict[str, Any] | None = Field(
        None, description="How people closed the request: kind, kind_text, text, at"
    )
    grant_id: str | None = Field(None, description="Of the grant that is not good any more")
    terms_digest: str | None = Field(None, description="Of the text that must be accepted")


def router(
    keys: TokenKeys,
    nonces: Nonces,
    settings: Settings,
    participants: Participants,
    ledger: Ledger,
    access: Access,
    fits: SecretFits,
    limits: EndpointLimits,
    clock: Callable[[], int] = now_ms,
) -> APIRouter:
    """Return the routes; raises StartUpError for an issuer that cannot be one."""
    routes = APIRouter(tags=["oauth"])
    endpoint = TokenEndpoint(
        keys, nonces, settings, participants, ledger, access, fits, limits, clock
    )
    document = metadata.server_metadata(settings)

    @routes.post(
        token_endpoint.PATH,
        summary="Get an access token",
        response_model=TokenAnswer,
        responses={status: {"model": TokenError} for status in (400, 401, 429, 503)},
        openapi_extra={
            "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": FORM}}}
        },
    )
    async def token(request: Request) -> Response:
        """Give a short-lived token to a client that proves itself (client_credentials).

        For the exchange's own routes: with names in `scope`, or without. For a delivery:
        `scope=grant:GRANT_ID`, or `authorization_details` that name the grant, or an offering: then
        it is a request for access, decided at once or pending. The policy is asked each time. With
        a DPoP header the token is bound to its key.
        """
        with visited(request) as visitor:
            try:
                answer = await endpoint.answer(await read_incoming(request, visitor))
            except Refused as refusal:
                return refused(request, refusal)
        headers = (
            {**NO_STORE, "DPoP-Nonce": endpoint.nonce()}
            if request.headers.get("dpop")
            else NO_STORE
        )
        return JSONResponse(answer, headers=headers)

    @routes.api_route(token_endpoint.PATH, methods=OTHER_METHODS, include_in_schema=False)
    async def not_a_post(request: Request) -> Response:
        refused = BadInput(
            "method_not_allowed",
            "The token endpoint takes POST only.",
            status=405,
            headers={"Allow": "POST"},
        )
        return problem_response(request, refused)

    async def server_metadata() -> Response:
        return JSONResponse(document, headers=PUBLIC)

    for number, path in enumerate(metadata.metadata_paths(settings)):
        routes.add_api_route(
            path,
            server_metadata,
            summary="What this authorization server does (RFC 8414)",
            responses=_example(document),
            include_in_schema=number == 0,
        )

    @routes.get(
        metadata.JWKS_PATH,
        summary="The public keys of access tokens (RFC 7517)",
        responses=_example(keys.jwks),
    )
    async def jwks() -> Response:
        return JSONResponse(keys.jwks, headers=PUBLIC)

    return routes


def _example(document: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": document}}}}


@contextmanager
def visited(request: Request) -> Iterator[Visitor]:
    """Leave for the request's log line who came: a client only where it proved itself."""
    visitor = Visitor()
    try:
        yield visitor
    finally:
        name = "client_id" if visitor.is_proved else "claimed_client_id"
        setattr(request.state, name, visitor.client_id)


def refused(request: Request, refusal: Refused) -> JSONResponse:
    """Answer with an error, and leave its code and from where it came for the log line."""
    request.state.code, request.state.address = refusal.error, address_of(request)
    return JSONResponse(refusal.document(), refusal.status, {**NO_STORE, **refusal.headers})


async def read_incoming(request: Request, visitor: Visitor) -> Incoming:
    """Read a form and the headers that count, with bounds; raises Refused."""
    headers = request.headers
    authorization = headers.getlist("authorization")
    if len(authorization) > 1:
        raise not_basic("Send one Authorization header at most.")
    check_content_type(headers.getlist("content-type"))
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            break
    return Incoming(
        parse_form(bytes(body)),
        authorization[0] if authorization else None,
        headers.getlist("dpop"),
        language(headers.get("accept-language")),
        address_of(request),
        visitor,
    )


def address_of(request: Request) -> str:
    """Return from where a request came, as the connection says and no header."""
    return request.client.host if request.client is not None else ""
