"""Routes about tokens: revocation (RFC 7009), introspection (RFC 7662), pushed requests (RFC 9126),
and the metadata of what takes tokens (RFC 9728)."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from exchange.clock import now_ms
from exchange.errors import Unavailable
from exchange.formats.shown import Nonces
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Stale
from exchange.oauth.api.token import NO_STORE, PUBLIC, TokenError, read_incoming, refused, visited
from exchange.oauth.form import MEDIA_TYPE as FORM_TYPE
from exchange.oauth.gate import ClientGate
from exchange.oauth.introspect import MEDIA_TYPE, Introspection, wants_jwt
from exchange.oauth.metadata import INTROSPECT_PATH, REVOKE_PATH
from exchange.oauth.model import Party, Refused
from exchange.oauth.par import CHALLENGE_METHODS, push_request
from exchange.oauth.par import PATH as PAR_PATH
from exchange.oauth.resource_metadata import resource_documents
from exchange.oauth.revoke import revoke_token
from exchange.oauth.token_endpoint import Incoming
from exchange.oauth.told import unavailable
from exchange.settings import Settings

_ERRORS: dict[int | str, dict[str, Any]] = {s: {"model": TokenError} for s in (400, 401, 429, 503)}
_CREDENTIALS = {
    "client_assertion_type": {"type": "string"},
    "client_assertion": {"type": "string", "maxLength": 8192},
    "client_id": {"type": "string"},
    "client_secret": {"type": "string"},
}
Answer = Callable[[Party, Incoming], Awaitable[Response]]


def router(
    gate: ClientGate,
    introspection: Introspection,
    nonces: Nonces,
    settings: Settings,
    ledger: Ledger,
    clock: Callable[[], int] = now_ms,
) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["oauth"])

    async def entered(request: Request, answer: Answer) -> Response:
        with visited(request) as visitor:
            try:
                incoming = await read_incoming(request, visitor)
                party = await gate.enter(incoming)
                try:
                    return await answer(party, incoming)
                except (Stale, Unavailable) as error:
                    raise unavailable("Not just now.") from error
            except Refused as refusal:
                return refused(request, refusal)

    @routes.post(
        REVOKE_PATH,
        summary="Revoke an access token of yours (RFC 7009)",
        responses=_ERRORS,
        openapi_extra=_body("token", token={"type": "string", "maxLength": 8192}),
    )
    async def revoke(request: Request) -> Response:
        """End one token before its time. Its grant stays: POST /v1/grants/ID/revoke ends that.

        The answer is 200 too where the token is not good any more, or is none.
        """

        async def answer(party: Party, incoming: Incoming) -> Response:
            known = introspection.read(_token(incoming))
            if known is not None and not await revoke_token(ledger, party, known):
                raise Refused("invalid_request", "This token is another client's.")
            return JSONResponse({}, headers=NO_STORE)

        return await entered(request, answer)

    @routes.post(
        INTROSPECT_PATH,
        summary="Ask whether a token is good (RFC 7662)",
        responses={
            **_ERRORS,
            200: {
                "description": "What it is good for just now, as a JWT if asked for (RFC 9701)",
                "content": {"application/json": {"example": {"active": False}}, MEDIA_TYPE: {}},
            },
        },
        openapi_extra=_body("token", token={"type": "string", "maxLength": 8192}),
    )
    async def introspect(request: Request) -> Response:
        """Say what a token is good for: to its client, its grant's platform and the operator."""

        async def answer(party: Party, incoming: Incoming) -> Response:
            told = await introspection.answer(party, _token(incoming))
            if wants_jwt(",".join(request.headers.getlist("accept"))):
                signed = introspection.signed(party, told)
                return Response(signed, headers=NO_STORE, media_type=MEDIA_TYPE)
            return JSONResponse(told, headers=NO_STORE)

        return await entered(request, answer)

    @routes.post(
        PAR_PATH,
        summary="Push an authorization request (RFC 9126)",
        status_code=201,
        responses=_ERRORS,
        openapi_extra=_body(
            "response_type",
            response_type={"type": "string", "enum": ["code"]},
            redirect_uri={"type": "string"},
            code_challenge={"type": "string"},
            code_challenge_method={"type": "string", "enum": list(CHALLENGE_METHODS)},
            state={"type": "string"},
            scope={"type": "string"},
            authorization_details={"type": "string"},
            resource={"type": "string"},
            dpop_jkt={"type": "string", "description": "Thumbprint of the key to bind to"},
        ),
    )
    async def push(request: Request) -> Response:
        """Keep a request for the code flow, which comes with people's sign-in: 90 s, once.

        What it asks for is checked as at the token endpoint. With a DPoP header, or `dpop_jkt`, it
        is bound to that key (RFC 9449 section 10).
        """

        async def answer(party: Party, incoming: Incoming) -> Response:
            now = clock()
            pushed = await push_request(ledger, party, incoming, nonces, settings, now)
            fresh = {"DPoP-Nonce": nonces.make(now / 1000)} if incoming.proofs else {}
            return JSONResponse(pushed, 201, {**NO_STORE, **fresh})

        return await entered(request, answer)

    for path, document in resource_documents(settings).items():
        _add_document(routes, path, document)
    return routes


def _add_document(routes: APIRouter, path: str, document: dict[str, Any]) -> None:
    name = "gateway" if path.endswith("/gateway") else "routes"

    async def metadata() -> Response:
        return JSONResponse(document, headers=PUBLIC)

    routes.add_api_route(
        path,
        metadata,
        name=f"protected_resource_{name}",
        summary=f"Whose tokens the {name} take (RFC 9728)",
        responses={200: {"content": {"application/json": {"example": document}}}},
    )


def _token(incoming: Incoming) -> str:
    if "token" not in incoming.form:
        raise Refused("invalid_request", "The parameter token is missing.")
    return incoming.form["token"]


def _body(*required: str, **properties: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": list(required),
        "properties": {**properties, **_CREDENTIALS},
    }
    return {"requestBody": {"required": True, "content": {FORM_TYPE: {"schema": schema}}}}
