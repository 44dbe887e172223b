"""Routes of the catalog as DCAT-AP in JSON-LD, for other catalogs to harvest."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from exchange.catalog.api.filters import OfferingId
from exchange.catalog.api.tagged import TaggedRoute, tagged
from exchange.catalog.dcat import catalog_document, offering_document
from exchange.catalog.documents import may_know
from exchange.catalog.model import Offering
from exchange.catalog.search import wanted_by
from exchange.catalog.store import Catalog, unknown_offering
from exchange.http import (
    Caller,
    Cursor,
    caller_with,
    decode_cursor,
    encode_cursor,
)
from exchange.participants.model import Organisation
from exchange.participants.store import Participants

JSON_LD = "application/ld+json"


class JSONLD(JSONResponse):
    """A JSON-LD document (https://www.w3.org/TR/json-ld11/)."""

    media_type = JSON_LD


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    document = {"description": "DCAT-AP", "content": {JSON_LD: {"schema": {"type": "object"}}}}
    return {200: document, **tagged(*statuses)}


def router(catalog: Catalog, participants: Participants, issuer: str, page_items: int) -> APIRouter:
    """Return the routes; `issuer` begins every address in their documents."""
    routes = APIRouter(prefix="/v1", tags=["catalog"], route_class=TaggedRoute)
    reader = caller_with("catalog")

    async def published_by(
        offerings: Sequence[Offering],
    ) -> list[tuple[Offering, Organisation]]:
        found = []
        for offering in offerings:
            publisher = await participants.organisations.get(offering.provider_id)
            if publisher is not None:
                found.append((offering, publisher))
        return found

    @routes.get(
        "/offerings/{offering_id}/dcat",
        response_class=JSONLD,
        responses=_answers(401, 403, 404, 422, 503),
    )
    async def get_offering_dcat(
        offering_id: OfferingId, caller: Annotated[Caller, reader]
    ) -> JSONLD:
        """Show an offering as a DCAT-AP dataset or data service, in JSON-LD."""
        offering = await catalog.offering(offering_id)
        if not may_know(offering, caller):
            raise unknown_offering()
        ((_, publisher),) = await published_by([offering])
        return JSONLD(offering_document(offering, publisher, issuer))

    @routes.get(
        "/catalog/dcat",
        response_class=JSONLD,
        responses=_answers(400, 401, 403, 422, 503),
    )
    async def get_catalog_dcat(
        caller: Annotated[Caller, reader],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> JSONLD:
        """Show the published offerings as a DCAT-AP catalog in JSON-LD, a page at a time.

        `hydra:view` names this page and, as `hydra:next`, the one after it.
        """
        wanted = wanted_by(caller, None)
        found, after = await catalog.search(wanted, decode_cursor(cursor), limit)
        shown = [o for o in found if o.status == "published" and may_know(o, caller)]
        base = f"/v1/catalog/dcat?limit={limit}"
        return JSONLD(
            catalog_document(
                await published_by(shown),
                issuer,
                this_page=f"{base}&cursor={cursor}" if cursor else base,
                next_page=f"{base}&cursor={encode_cursor(after)}" if after else None,
            )
        )

    return routes
