"""Composition root: settings to parts to the FastAPI application. The only file that sees all."""

import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from connectors.gateway import api as gateway_api
from connectors.gateway.problems import GatewayProblem
from exchange import __version__, health
from exchange.access.api import grants as grants_api
from exchange.access.api import holds as holds_api
from exchange.access.api import requests as requests_api
from exchange.access.api import steps as steps_api
from exchange.catalog.api import dcat as dcat_api
from exchange.catalog.api import offerings as catalog_api
from exchange.catalog.api import previews as previews_api
from exchange.catalog.api import uploads as uploads_api
from exchange.catalog.api import versions as catalog_versions_api
from exchange.clock import now_ms
from exchange.connections.api import connections as connections_api
from exchange.connections.api import keys as keys_api
from exchange.errors import BadInput, Conflict, ExchangeError, NotFound, Unavailable
from exchange.guard import Guard
from exchange.http import Problem, problem_response
from exchange.ledger.api import entries as entries_api
from exchange.ledger.api import tiles as tiles_api
from exchange.ledger.write import Stale
from exchange.logs import set_up_logging
from exchange.mounted_gateway import MountedDoor, MountedSources, answer_in_words
from exchange.mounted_stores import StoreChecker
from exchange.oauth.access import DeskAccess
from exchange.oauth.api import keys as token_keys_api
from exchange.oauth.api import registration as registration_api
from exchange.oauth.api import token as oauth_api
from exchange.oauth.api import tokens as oauth_tokens_api
from exchange.oauth.authenticate import Authenticator
from exchange.oauth.gate import ClientGate
from exchange.oauth.introspect import Introspection
from exchange.oauth.limits import EndpointLimits
from exchange.oauth.nonces import load_nonces
from exchange.oauth.resource_metadata import metadata_url
from exchange.participants.api import clients as clients_api
from exchange.participants.api import engagements as engagements_api
from exchange.participants.api import members as members_api
from exchange.participants.api import organisations as participants_api
from exchange.participants.model import Client
from exchange.participants.record_read import ReadRecorder
from exchange.participants.secrets import secret_fits
from exchange.parts import Parts, open_parts
from exchange.portal import home
from exchange.settings import Settings
from exchange.status import api as status_api
from exchange.usage import api as usage_api
from exchange.webhooks import api as webhooks_api

log_to = logging.getLogger("exchange")
_NAME = re.compile("[A-Za-z0-9_-]{1,32}")
DESCRIPTION = """Platforms publish, SMEs ask, policies decide, every grant is in a log that anyone
can verify. Get a token at `/oauth/token` (private_key_jwt), then send it as a bearer token.
Errors are problem documents (RFC 9457), lists give `next` for the page after. Any route may also
answer 405, 408, 413, 431, 500 or 503 with a problem document."""


def create_app() -> FastAPI:
    """Return the application as the environment's settings say (uvicorn's factory)."""
    settings = Settings()
    set_up_logging(settings.log_level)
    return build_app(settings)


def build_app(settings: Settings) -> FastAPI:
    """Return the application; its parts are opened when it starts serving."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts = await open_parts(settings)
        app.state.parts = parts
        _add_routes(app, parts)
        log_to.info("serving")
        try:
            yield
        finally:
            await parts.close()

    app = FastAPI(
        title="Data-sharing exchange",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the redirect would repeat the request's Host
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.add_middleware(Guard, settings=settings)
    _add_error_handlers(app)
    _document_problems(app)
    return app


def _document_problems(app: FastAPI) -> None:
    """Put the schema that `exchange.http.problems` refers to into the API's document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _add_routes(app: FastAPI, parts: Parts) -> None:
    settings, desk = parts.settings, parts.desk
    page = settings.page_items
    keys, nonces = parts.token_keys, load_nonces(settings.keys_dir)

    def fits(client: Client | None, secret: str) -> bool:
        return secret_fits(client, secret, parts.secret_key)

    revoked, access = parts.revoked_tokens, DeskAccess(desk, settings.issuer_url)
    authenticate = Authenticator(
        lambda: keys.public, nonces, settings, parts.participants, revoked=revoked
    )
    limits = EndpointLimits(
        settings.oauth_per_minute, settings.oauth_failures_per_minute, settings.workers
    )
    issuer, people, ledger = settings.issuer_url, parts.participants, parts.ledger

    app.state.authenticate = authenticate
    app.state.resource_metadata = metadata_url(settings, issuer)
    app.state.record_read = ReadRecorder(parts.ledger, parts.participants)
    for router in (  # the framework tries them in this order: the busiest first
        oauth_api.router(keys, nonces, settings, people, ledger, access, fits, limits),
        requests_api.router(desk, page),
        grants_api.router(desk, page),
        usage_api.router(parts.store, page),
        steps_api.router(desk, page),
        holds_api.router(desk, page),
        gateway_api.router(
            MountedDoor(desk, parts.watchers, settings.session_minutes),
            {"files": parts.files, "s3": parts.s3},
            lambda: keys.public,
            nonces,
            issuer=settings.issuer_url,
            audience=settings.connector_url,
            clock=now_ms,
            services=parts.services,
            revoked=revoked,
            metadata=metadata_url(settings, settings.connector_url),
        ),
        tiles_api.router(parts.ledger),
        entries_api.router(parts.ledger, page, settings.issuer_url, parts.token_keys.sign_manifest),
        catalog_api.router(
            parts.ledger,
            parts.catalog,
            parts.participants,
            MountedSources(parts.files, parts.s3, settings.upload_bytes),
            page,
        ),
        uploads_api.router(parts.uploads),
        catalog_versions_api.router(parts.catalog, page),
        previews_api.router(parts.catalog, parts.participants),
        dcat_api.router(parts.catalog, parts.participants, settings.issuer_url, page),
        participants_api.router(parts.ledger, parts.participants, page),
        clients_api.router(parts.ledger, parts.participants, parts.secret_key, page),
        registration_api.router(ledger, people, parts.secret_key, limits),
        members_api.router(parts.ledger, parts.participants),
        engagements_api.router(parts.engagements, parts.participants, page),
        connections_api.router(
            parts.connection_desk, {"s3": StoreChecker(parts.s3), "http": parts.reach}, page
        ),
        oauth_tokens_api.router(
            ClientGate(issuer, people, ledger, fits, limits),
            Introspection(keys, settings, people, access, revoked),
            nonces,
            settings,
            ledger,
        ),
        token_keys_api.router(parts.ledger, keys),
        keys_api.router(parts.ledger, parts.connection_desk.store, parts.connection_desk.vault),
        status_api.router(
            parts.status_feed,
            parts.participants,
            parts.watchers,
            parts.token_keys.sign_status,
            settings.issuer_url,
        ),
        webhooks_api.router(parts.webhooks, parts.participants, parts.webhook_allow, page),
        health.router(parts),
        home.router(parts.ledger, settings),
    ):
        for route in router.routes:
            if isinstance(route, APIRoute):
                route.operation_id = route.operation_id or route.name
                route.summary = route.summary or route.description.partition("\n")[0].rstrip(".")
        # Each route by itself: an included router's are all tried twice for each request.
        app.router.routes.extend(router.routes)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(ExchangeError)
    async def known(request: Request, error: ExchangeError) -> JSONResponse:
        if error.__cause__ is not None and error.status_code >= 500:
            log_to.error(error.code, exc_info=error, extra=_request(request))
        return problem_response(request, error)

    app.add_exception_handler(GatewayProblem, answer_in_words)

    @app.exception_handler(Stale)
    async def stale(request: Request, error: Stale) -> JSONResponse:
        problem = Conflict("changed_meanwhile", "It changed meanwhile.", hint="Read it again.")
        return problem_response(request, problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(request, _not_valid(error.errors()))

    @app.exception_handler(HTTPException)
    async def by_framework(request: Request, error: HTTPException) -> JSONResponse:
        cause = error.__cause__  # what a body's reader raised, such as BodyTooLarge
        known = cause if isinstance(cause, ExchangeError) else _of_framework(error)
        return problem_response(request, known)


def _request(request: Request) -> dict[str, Any]:
    return {"request_id": getattr(request.state, "request_id", None)}


def _not_valid(found: Sequence[Any]) -> BadInput:
    """Name each fault and its place; never repeat what was sent."""
    if any(fault["type"] == "json_invalid" for fault in found):
        return BadInput(
            "json_invalid",
            "The body is not one JSON value in UTF-8, each name once.",
            hint="RFC 8259 and RFC 7493 say what is; NaN and lone surrogates are not.",
        )
    faults = [{"in": _place(fault["loc"]), "fault": _words(fault)[:200]} for fault in found[:20]]
    return BadInput(
        "input_invalid",
        "; ".join(f"{fault['in']}: {fault['fault']}" for fault in faults),
        status=422,
        members={"faults": faults},
    )


def _words(fault: Any) -> str:
    """Say what is wrong; of a union the framework's own words would repeat what was sent."""
    if fault["type"] == "union_tag_invalid":
        told = fault["ctx"]
        return f"{told['discriminator']} must be one of {told['expected_tags']}".replace("'", "")
    return str(fault["msg"])


def _place(path: Sequence[str | int]) -> str:
    """Write where a fault is; a name that is none of ours was sent, and could be anything."""
    return ".".join(str(part) if _NAME.fullmatch(str(part)) else "?" for part in path)


def _of_framework(error: HTTPException) -> ExchangeError:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return NotFound(
            "route_unknown", "There is nothing here.", hint="/docs lists what there is."
        )
    if error.status_code == 405:
        return BadInput(
            "method_not_allowed", "This method is not for this.", status=405, headers=headers
        )
    if error.status_code >= 500:
        return Unavailable("unavailable", "Not now.")
    return BadInput(
        "request_invalid", "The request cannot be read.", status=error.status_code, headers=headers
    )
