"""Dynamic client registration by invitation (RFC 7591 section 3): read, register, answer.

1. the initial access token, which must be open;
2. the metadata, which spends nothing while it is refused;
3. the client, made in the same commit that uses the invitation up.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field

from exchange.errors import BadInput, Conflict, ExchangeError, Forbidden, NotFound, Unavailable
from exchange.http import problem_response
from exchange.ledger.ledger import Ledger
from exchange.oauth.api.token import address_of
from exchange.oauth.limits import EndpointLimits
from exchange.oauth.model import Refused
from exchange.oauth.registration import PATH, NotRegistered, read_metadata, registered
from exchange.participants.invite_client import open_invitation, register_invited_client
from exchange.participants.model import Profile, scopes_of
from exchange.participants.secrets import SecretKey, make_secret
from exchange.participants.store import Participants
from exchange.strict_json import read_json

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
OTHER_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]
invitation = HTTPBearer(
    auto_error=False,
    description="An initial access token: POST /v1/organisations/{org_id}/client-invitations",
    scheme_name="invitation",
)
METADATA = {
    "type": "object",
    "description": "Unknown members are passed over (RFC 7591 section 2)",
    "properties": {
        "client_name": {"type": "string", "minLength": 1, "maxLength": 120},
        "jwks": {"type": "object", "description": "Public keys themselves, 8 at most (RFC 7517)"},
        "token_endpoint_auth_method": {
            "type": "string",
            "description": "private_key_jwt; client_secret_basic or client_secret_post where the "
            "operator's invitation allows it",
        },
        "grant_types": {"type": "array", "items": {"type": "string"}},
        "dpop_bound_access_tokens": {
            "type": "boolean",
            "description": "Default true: bearer tokens only where false is said (RFC 9449)",
        },
        "scope": {
            "type": "string",
            "description": "All that the organisation's roles allow, or left out: less is asked "
            "for with each token",
        },
    },
    "example": {
        "client_name": "nightly import",
        "dpop_bound_access_tokens": True,
        "jwks": {
            "keys": [
                {
                    "kty": "EC",
                    "crv": "P-256",
                    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
                }
            ]
        },
    },
}


class RegistrationError(BaseModel):
    """An error (RFC 7591 section 3.2.2)."""

    error: str = Field(examples=["invalid_client_metadata"])
    error_description: str


class RegisteredAnswer(BaseModel):
    """What was registered (section 3.2.1); the secret is shown this once."""

    client_id: str = Field(examples=["cli_" + "0" * 26])
    client_id_issued_at: int = Field(description="Seconds since 1970")
    client_name: str
    jwks: dict[str, Any] | None = None
    token_endpoint_auth_method: str
    grant_types: list[str]
    response_types: list[str]
    dpop_bound_access_tokens: bool
    scope: str
    organisation_id: str
    status: str = Field(description="pending until the operator approves, or active")
    client_secret: str | None = None
    client_secret_expires_at: int | None = Field(None, description="0: never")


def router(
    ledger: Ledger,
    participants: Participants,
    secret_key: SecretKey,
    limits: EndpointLimits,
) -> APIRouter:
    """Return the routes of registration."""
    routes = APIRouter(tags=["oauth"])

    def limited(request: Request, refusal: Refused) -> Refused:
        """Count who shows no invitation that is one."""
        if refusal.status == 401:
            try:
                limits.fail(address_of(request))
            except Refused as slow_down:
                return slow_down
        return refusal

    async def register(request: Request) -> dict[str, Any]:
        token = _initial_access_token(request)
        invited = await open_invitation(participants, token)  # 1.
        organisation = await participants.organisation(invited.org_id)
        allowed = scopes_of(organisation.roles)
        wanted = read_metadata(await _document(request), allowed)  # 2.
        with_secret = wanted.auth_method != "private_key_jwt"
        made = make_secret(secret_key) if with_secret else None
        client = await register_invited_client(  # 3.
            ledger,
            participants,
            token=token,
            name=wanted.name,
            jwks=wanted.jwks,
            profile=Profile(
                wanted.auth_method, wanted.dpop_bound, made.hash if made is not None else None
            ),
        )
        return registered(client, wanted, allowed, made.text if made is not None else None)

    @routes.post(
        PATH,
        status_code=201,
        summary="Register a client by an invitation (RFC 7591)",
        response_model=RegisteredAnswer,
        responses={status: {"model": RegistrationError} for status in (400, 401, 429, 503)},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": METADATA}},
            },
        },
    )
    async def post_register(
        request: Request, _shown: Annotated[Any, Depends(invitation)]
    ) -> Response:
        """Register a program with public keys of its own; the invitation is the bearer token.

        It gets tokens once the operator has approved it, unless its invitation says that it need
        not wait.
        """
        try:
            answer = await register(request)
        except Refused as refusal:
            return _refuse(limited(request, refusal))
        except ExchangeError as error:
            return _refuse(limited(request, _in_words_of_oauth(error)))
        return JSONResponse(answer, 201, NO_STORE)

    @routes.api_route(PATH, methods=OTHER_METHODS, include_in_schema=False)
    async def not_a_registration(request: Request) -> Response:
        refused = BadInput(
            "method_not_allowed",
            "The registration endpoint takes POST only.",
            status=405,
            headers={"Allow": "POST"},
        )
        return problem_response(request, refused)

    return routes


def _initial_access_token(request: Request) -> str:
    values = request.headers.getlist("authorization")
    scheme, _, token = values[0].partition(" ") if values else ("", "", "")
    if len(values) != 1 or scheme.lower() != "bearer" or not token or " " in token:
        raise _unauthorized(
            "Send the invitation as Authorization: Bearer.", with_error=bool(values)
        )
    return token


async def _document(request: Request) -> object:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise NotRegistered("invalid_client_metadata", "Send Content-Type: application/json.")
    try:
        return read_json(await request.body())
    except json.JSONDecodeError as error:
        raise NotRegistered(
            "invalid_client_metadata", "The body is not one JSON value in UTF-8, each name once."
        ) from error


def _in_words_of_oauth(error: ExchangeError) -> Refused:
    if isinstance(error, NotFound):
        return _unauthorized(error.detail, with_error=True)
    words = " ".join(filter(None, (error.detail, error.hint)))
    if isinstance(error, Unavailable):
        return Refused("temporarily_unavailable", words, status=503, headers={"Retry-After": "1"})
    if isinstance(error, (Forbidden, Conflict)):
        return NotRegistered("invalid_client_metadata", words)
    raise error


def _unauthorized(description: str, *, with_error: bool) -> Refused:
    """RFC 6750 section 3.1: no error code for who sent no token."""
    told = 'Bearer error="invalid_token"' if with_error else "Bearer"
    return Refused("invalid_token", description, status=401, headers={"WWW-Authenticate": told})


def _refuse(refusal: Refused) -> Response:
    return JSONResponse(refusal.document(), refusal.status, {**NO_STORE, **refusal.headers})
