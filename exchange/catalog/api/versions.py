"""Versions of an offering, by which requests, decisions and grants name what they saw."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query

from exchange.catalog.api.filters import OfferingId
from exchange.catalog.api.tagged import TaggedRoute, tagged
from exchange.catalog.documents import (
    OfferingOut,
    VersionOut,
    may_know,
    offering_out,
    version_out,
)
from exchange.catalog.model import Offering, Version
from exchange.catalog.store import Catalog, unknown_offering, unknown_version
from exchange.errors import BadInput
from exchange.http import Caller, Cursor, Page, caller_with, decode_cursor, encode_cursor

LARGEST = 10**9 - 1  # more than anybody will publish, and a number for every database
VersionNumber = Annotated[int, Path(ge=1, le=LARGEST, examples=[1])]


def router(catalog: Catalog, page_items: int) -> APIRouter:
    """Return the routes of versions."""
    routes = APIRouter(prefix="/v1", tags=["catalog"], route_class=TaggedRoute)
    reader = caller_with("catalog")

    async def known(offering_id: str, caller: Caller) -> Offering:
        offering = await catalog.offering(offering_id)
        if not may_know(offering, caller):
            raise unknown_offering()
        return offering

    @routes.get("/offerings/{offering_id}/versions", responses=tagged(400, 401, 403, 404, 422, 503))
    async def get_versions(
        offering_id: OfferingId,
        caller: Annotated[Caller, reader],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[VersionOut]:
        """List an offering's published versions, the newest first."""
        offering = await known(offering_id, caller)
        found = await catalog.versions(offering_id, _number(cursor), limit + 1)
        more = encode_cursor(str(found[limit - 1].number)) if len(found) > limit else None
        items = [version_out(v) for v in found[:limit] if may_know(as_of(offering, v), caller)]
        return Page(items=items, next=more)

    @routes.get(
        "/offerings/{offering_id}/versions/{version}", responses=tagged(401, 403, 404, 422, 503)
    )
    async def get_version(
        offering_id: OfferingId, version: VersionNumber, caller: Annotated[Caller, reader]
    ) -> OfferingOut:
        """Show an offering as a version had it; `changed_at` is when that was published."""
        offering = await known(offering_id, caller)
        found = await catalog.versions(offering_id, version + 1, 1)
        if not found or found[0].number != version:
            raise unknown_version()
        then = as_of(offering, found[0])
        if not may_know(then, caller):  # it was private when the offering is not
            raise unknown_version()
        return offering_out(then, caller)

    return routes


def as_of(offering: Offering, version: Version) -> Offering:
    """Return an offering as a version had it; its status is today's."""
    return replace(
        offering,
        version=version.number,
        terms=version.terms,
        objects=version.objects,
        changed_ms=version.published_ms,
    )


def _number(cursor: str | None) -> int | None:
    position = decode_cursor(cursor)
    if position is None:
        return None
    if not position.isdecimal() or len(position) > len(str(LARGEST)):
        raise BadInput("cursor_unknown", "This cursor is not one of ours.")
    return int(position)
