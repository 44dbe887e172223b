"""The page at `/`: what runs here, and where to go on. English and Chinese, no script."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from exchange import __version__
from exchange.http import language, problems
from exchange.ledger.ledger import Ledger
from exchange.locales import gettext
from exchange.settings import Settings

CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


def router(ledger: Ledger, settings: Settings) -> APIRouter:
    """Return the route of the first page."""
    routes = APIRouter(tags=["operation"])
    environment = Environment(
        loader=PackageLoader("exchange"), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("home.html")

    @routes.get("/", response_class=HTMLResponse, responses=problems(422, 503))
    async def get_home(
        lang: Annotated[Literal["en", "zh"] | None, Query()] = None,
        accept_language: Annotated[str | None, Header(max_length=200)] = None,
    ) -> HTMLResponse:
        """Show what runs here."""
        shown = lang or language(accept_language)
        page = template.render(
            lang=shown,
            _=gettext("portal", shown),
            issuer=settings.issuer_url,
            version=__version__,
            origin=ledger.log.origin,
            key=ledger.verifier_key,
            size=await ledger.size(),
        )
        headers = {
            "Content-Security-Policy": CSP,
            "Content-Language": shown,
            "Vary": "Accept-Language",
        }
        return HTMLResponse(page, headers=headers)

    return routes
