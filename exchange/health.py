"""Is it alive, is it ready, and its API reference without any foreign host."""

from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel

from exchange import __version__
from exchange.errors import NotFound, Unavailable
from exchange.http import problems
from exchange.parts import Parts

ASSETS = Path(fastapi_offline.__file__).parent / "static"
SERVED = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
DOCS_CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


class Health(BaseModel):
    """The process answers."""

    status: str
    version: str


class Readiness(BaseModel):
    """The parts that a safe answer needs, each answering now."""

    status: str
    log_size: int
    policy_engine: str
    policy_digest: str
    database: str


def router(parts: Parts) -> APIRouter:
    """Return the routes of health and reference."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/healthz")
    async def get_health() -> Health:
        """Say that the process is alive."""
        return Health(status="ok", version=__version__)

    @routes.get("/readyz", responses=problems(503))
    async def get_readiness() -> Readiness:
        """Say whether database, log and policies answer."""
        size = await parts.ledger.size()
        if not parts.ledger.healthy:
            raise Unavailable("log_unavailable", "The audit log takes no entries.")
        await parts.probe_policy()
        return Readiness(
            status="ready",
            log_size=size,
            policy_engine=parts.settings.policy_engine,
            policy_digest=parts.engine.digest,
            database="sqlite" if parts.db.is_sqlite else "postgresql",
        )

    @routes.get("/docs", include_in_schema=False)
    async def get_docs(request: Request) -> HTMLResponse:
        """Show the API reference (Swagger UI, served from here)."""
        page: Any = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Data-sharing exchange: API",
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="data:,",
        )
        return HTMLResponse(page.body, headers={"Content-Security-Policy": DOCS_CSP})

    @routes.get("/docs/{name}", include_in_schema=False)
    async def get_asset(name: str) -> FileResponse:
        """Serve the reference's script and style."""
        if name not in SERVED:
            raise NotFound("route_unknown", "There is nothing here.")
        cache = {"Cache-Control": "public, max-age=86400"}
        return FileResponse(ASSETS / name, media_type=SERVED[name], headers=cache)

    return routes
