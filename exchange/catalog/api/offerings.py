"""Routes of the catalog: parse, call one verb, answer."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import StringConstraints

from exchange.catalog.api.filters import Filters, OfferingId, filters
from exchange.catalog.api.tagged import TaggedRoute, require_match, tagged
from exchange.catalog.documents import (
    FacetsOut,
    ObjectOut,
    OfferingIn,
    OfferingOut,
    facets_out,
    may_know,
    object_document,
    offering_out,
)
from exchange.catalog.model import Offering, Sources
from exchange.catalog.publish_offering import (
    draft_offering,
    publish_offering,
    revise_offering,
    withdraw_offering,
)
from exchange.catalog.store import Catalog, unknown_offering
from exchange.http import (
    Caller,
    Cursor,
    IdempotencyKey,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    problems,
)
from exchange.ledger.ledger import Ledger
from exchange.participants.store import Participants

IfMatch = Annotated[
    list[Annotated[str, StringConstraints(max_length=8000)]] | None,
    Header(description="Change only what has one of these ETags, or 412"),
]
FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def router(
    ledger: Ledger, catalog: Catalog, participants: Participants, sources: Sources, page_items: int
) -> APIRouter:
    """Return the routes of the catalog."""
    routes = APIRouter(prefix="/v1", tags=["catalog"], route_class=TaggedRoute)
    reader = caller_with("catalog")
    platform = caller_with("offerings", "platform")

    @routes.put(
        "/files/{name}",
        status_code=201,
        responses=problems(400, 401, 403, 409, 413, 422, 503, 507),
        openapi_extra={"requestBody": {"required": True, "content": FILE}},
    )
    async def put_file(
        name: Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")],
        request: Request,
        caller: Annotated[Caller, platform],
    ) -> ObjectOut:
        """Upload a file for your offerings (platform): the body is the file's bytes."""
        stored = await sources.store(caller.org_id, name, request.stream())
        return ObjectOut(**object_document(stored))

    @routes.post("/offerings", status_code=201, responses=problems(400, 401, 403, 415, 422, 503))
    async def post_offering(
        body: OfferingIn,
        caller: Annotated[Caller, platform],
        idempotency_key: IdempotencyKey = None,
    ) -> OfferingOut:
        """Write the draft of an offering (platform)."""
        offering = await draft_offering(ledger, catalog, caller, body.terms(), idempotency_key)
        return offering_out(offering, caller)

    @routes.get("/offerings", responses=tagged(400, 401, 403, 422, 503))
    async def get_offerings(
        caller: Annotated[Caller, reader],
        filters: Annotated[Filters, Depends(filters)],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[OfferingOut]:
        """List or search published offerings, and your own in every state, newest first.

        A facet may be given again: one of its values must apply, and so for each facet. A page may
        hold fewer than `limit`, even none, and still name a `next`.
        """
        found, after = await catalog.search(filters.wanted_by(caller), decode_cursor(cursor), limit)
        # What is read of each is newer than what found it.
        shown = [offering_out(o, caller) for o in found if may_know(o, caller)]
        return Page(items=shown, next=encode_cursor(after) if after else None)

    @routes.get("/offerings/facets", responses=tagged(401, 403, 422, 503))
    async def get_facets(
        caller: Annotated[Caller, reader], filters: Annotated[Filters, Depends(filters)]
    ) -> FacetsOut:
        """Count, a facet's value, the offerings that a search finds: 1,000 at most, the newest."""
        total, capped, counts = await catalog.facets(filters.wanted_by(caller))
        return facets_out(total, capped, counts)

    @routes.get("/offerings/{offering_id}", responses=tagged(401, 403, 404, 422, 503))
    async def get_offering(
        offering_id: OfferingId, caller: Annotated[Caller, reader]
    ) -> OfferingOut:
        """Show an offering."""
        offering = await catalog.offering(offering_id)
        if not may_know(offering, caller):
            raise unknown_offering()
        return offering_out(offering, caller)

    @routes.put(
        "/offerings/{offering_id}", responses=problems(400, 401, 403, 404, 409, 412, 415, 422, 503)
    )
    async def put_offering(
        offering_id: OfferingId,
        body: OfferingIn,
        caller: Annotated[Caller, platform],
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
    ) -> OfferingOut:
        """Take new terms: into the draft, or as the published offering's next version.

        With If-Match only while it is as you read it, or 412: nobody's change is written over.
        """

        def check(held: Offering) -> None:
            require_match(if_match or [], offering_out(held, caller))

        offering = await revise_offering(
            ledger, catalog, sources, caller, offering_id, body.terms(), check, idempotency_key
        )
        return offering_out(offering, caller)

    @routes.post(
        "/offerings/{offering_id}/publish",
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def post_publish(
        offering_id: OfferingId,
        caller: Annotated[Caller, platform],
        idempotency_key: IdempotencyKey = None,
    ) -> OfferingOut:
        """Publish the terms and the data as they are now, as the next version."""
        offering = await publish_offering(
            ledger, catalog, participants, sources, caller, offering_id, idempotency_key
        )
        return offering_out(offering, caller)

    @routes.post(
        "/offerings/{offering_id}/withdraw", responses=problems(401, 403, 404, 409, 422, 503)
    )
    async def post_withdraw(
        offering_id: OfferingId, caller: Annotated[Caller, platform]
    ) -> OfferingOut:
        """Withdraw: no new grants; existing grants go on to their end."""
        return offering_out(await withdraw_offering(ledger, catalog, caller, offering_id), caller)

    return routes
