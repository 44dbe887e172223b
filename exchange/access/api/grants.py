"""Routes of grants: list, show, renew, revoke."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from exchange.access.api.answers import answer_decided
from exchange.access.api.documents import (
    AcceptLanguage,
    AccessRequestOut,
    GrantId,
    GrantOut,
    OfferingRef,
    RenewalIn,
    Text,
    grant_out,
)
from exchange.access.endings import Endings
from exchange.access.holds_store import HoldsStore
from exchange.access.model import Grant, GrantStatus, RevocationReason
from exchange.access.renew_grant import renew_grant
from exchange.access.request_access import Desk
from exchange.access.revoke_grant import revoke_grant
from exchange.http import (
    Body,
    Caller,
    Cursor,
    IdempotencyKey,
    JSONRoute,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    language,
    problems,
)


class RevocationIn(Body):
    """Why a grant is revoked."""

    reason: RevocationReason = "other"
    text: Text = Field("", description="For whoever holds it to read; the log commits to it")


class RevocationOut(Body):
    """The revoked grant, with the receipt of its revocation the first time."""

    grant: GrantOut
    receipt: str | None


def router(desk: Desk, page_items: int) -> APIRouter:
    """Return the routes of grants."""
    routes = APIRouter(prefix="/v1", tags=["access"], route_class=JSONRoute)
    asker = caller_with("requests")
    party = caller_with("grants")
    suspended, ended = HoldsStore(desk.ledger), Endings(desk.ledger)

    async def shown(grant: Grant, caller: Caller, accept_language: str | None) -> GrantOut:
        [written] = await shown_all([grant], caller, accept_language)
        return written

    async def shown_all(
        grants: Sequence[Grant], caller: Caller, accept_language: str | None
    ) -> list[GrantOut]:
        holds, why = await suspended.suspending(grants), await ended.revocations(grants)
        lang = language(accept_language)
        return [
            grant_out(each, caller, lang, holds.get(each.id, ()), why.get(each.id))
            for each in grants
        ]

    @routes.get("/grants", responses=problems(400, 401, 403, 422, 503))
    async def get_grants(
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
        status: GrantStatus | None = None,
        offering_id: Annotated[OfferingRef | None, Query(examples=["off_" + "0" * 26])] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[GrantOut]:
        """List grants that you hold or gave, newest first."""
        found = await desk.store.grants(
            caller, decode_cursor(cursor), limit + 1, offering_id=offering_id, status=status
        )
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=await shown_all(found[:limit], caller, accept_language), next=more)

    @routes.get("/grants/{grant_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_grant(
        grant_id: GrantId,
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
    ) -> GrantOut:
        """Show a grant."""
        return await shown(await desk.store.grant_for(grant_id, caller), caller, accept_language)

    @routes.post(
        "/grants/{grant_id}/renew",
        status_code=201,
        response_model=AccessRequestOut,
        responses={
            **problems(400, 401, 403, 404, 409, 415, 422, 503),
            200: {"model": AccessRequestOut, "description": "Asked before: the same renewal"},
            202: {"model": AccessRequestOut, "description": "Waits for an approval"},
        },
    )
    async def post_renew(
        grant_id: GrantId,
        body: RenewalIn,
        caller: Annotated[Caller, asker],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Ask that your grant ends later, before it ends: the same grant, decided anew."""
        answer = await renew_grant(
            desk, caller, grant_id, body.days, body.form, body.accepted_terms, idempotency_key
        )
        return await answer_decided(desk, answer, caller, accept_language)

    @routes.post(
        "/grants/{grant_id}/revoke", responses=problems(400, 401, 403, 404, 409, 415, 422, 503)
    )
    async def post_revoke(
        grant_id: GrantId,
        body: RevocationIn,
        caller: Annotated[Caller, caller_with("holds", "platform", "operator")],
        accept_language: AcceptLanguage = None,
    ) -> RevocationOut:
        """Revoke a grant for good (its platform, or the operator)."""
        grant, receipt = await revoke_grant(
            desk.ledger, desk.store, caller, grant_id, body.reason, body.text
        )
        return RevocationOut(
            grant=await shown(grant, caller, accept_language),
            receipt=receipt.encode() if receipt is not None else None,
        )

    return routes
