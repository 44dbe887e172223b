"""Routes of asking: request, list, show, explain."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field, StringConstraints

from exchange.access.api.answers import answer_decided, show_request, show_requests
from exchange.access.api.documents import (
    AcceptLanguage,
    AccessRequestIn,
    AccessRequestOut,
    Actions,
    Days,
    Digest,
    OfferingRef,
    PurposeIn,
    RequestId,
    SaidOut,
    read_only,
    worded,
)
from exchange.access.explain_access import Supposed, explain_access
from exchange.access.model import Ask, RequestStatus, Said, Side
from exchange.access.request_access import Desk, request_access
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
from exchange.participants.model import AttributeName, Evidence
from exchange.policy.model import Outcome, Reason

ACTED = problems(400, 401, 403, 404, 409, 415, 422, 503)


class SupposedIn(Body):
    """An attribute as it might be: a value where none is stated yet, or better evidence."""

    value: (
        Annotated[int, Field(ge=0, le=2**53 - 1, strict=True)]
        | Annotated[str, StringConstraints(min_length=1, max_length=64)]
        | None
    ) = None
    evidence: Evidence | None = None


class ExplainIn(Body):
    """What you might ask of an offering."""

    offering_id: OfferingRef = Field(examples=["off_" + "0" * 26])
    purpose: PurposeIn = Field(examples=["logistics_planning"])
    actions: Actions = Field(default_factory=read_only)
    days: Days = Field(30)
    attributes: dict[AttributeName, SupposedIn] = Field(
        default_factory=dict, examples=[{"headcount": {"evidence": "verified"}}]
    )


class ExplanationOut(Body):
    """What would be decided, why, and what would make it a yes. Nothing was asked or logged."""

    outcome: Outcome
    reasons: list[SaidOut]
    remedies: list[SaidOut]
    changes: list[SaidOut] = Field(description="All that has to change, remedies followed in turn")
    outcome_after: Outcome | None = Field(
        description="With these changes; none where only you know what a change would be"
    )
    terms_digest: Digest | None = Field(
        description="Of the text that a request must accept, as `accepted_terms`"
    )
    required_fields: list[str] = Field(description="Of the form that a request must fill in")


def router(desk: Desk, page_items: int) -> APIRouter:
    """Return the routes of requests."""
    routes = APIRouter(prefix="/v1", tags=["access"], route_class=JSONRoute)
    asker = caller_with("requests")
    party = caller_with("grants")

    @routes.post(
        "/access-requests",
        status_code=201,
        response_model=AccessRequestOut,
        responses={
            **ACTED,
            200: {"model": AccessRequestOut, "description": "Asked before: the same grant"},
            202: {"model": AccessRequestOut, "description": "Waits for an approval"},
        },
    )
    async def post_request(
        body: AccessRequestIn,
        caller: Annotated[Caller, asker],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Ask for access. A refusal is 403 with reasons, remedies and its receipt.

        For most offerings the policy asks that you are an SME; a sandbox anyone registered may try.
        """
        ask = Ask(
            body.offering_id,
            body.purpose,
            tuple(sorted(set(body.actions))),
            body.days,
            body.form,
            body.accepted_terms,
        )
        answer = await request_access(desk, caller, ask, idempotency_key)
        return await answer_decided(desk, answer, caller, accept_language)

    @routes.get("/access-requests", responses=problems(400, 401, 403, 422, 503))
    async def get_requests(
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
        status: RequestStatus | None = None,
        waiting_for: Side | None = None,
        offering_id: Annotated[OfferingRef | None, Query(examples=["off_" + "0" * 26])] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[AccessRequestOut]:
        """List requests that you made or that concern your offerings, newest first."""
        found = await desk.store.answers(
            caller,
            decode_cursor(cursor),
            limit + 1,
            status=status,
            waits_for=waiting_for,
            offering_id=offering_id,
        )
        more = encode_cursor(found[limit - 1].request_id) if len(found) > limit else None
        items = await show_requests(desk, found[:limit], caller, accept_language)
        return Page(items=items, next=more)

    @routes.get("/access-requests/{request_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_request(
        request_id: RequestId,
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
    ) -> AccessRequestOut:
        """Show a request, with a receipt against the newest checkpoint."""
        answer = await desk.store.answer(request_id, caller)
        return await show_request(desk, answer, caller, accept_language)

    @routes.post("/policy/explain", responses=problems(400, 401, 403, 404, 415, 422, 503))
    async def post_explain(
        body: ExplainIn,
        caller: Annotated[Caller, asker],
        accept_language: AcceptLanguage = None,
    ) -> ExplanationOut:
        """Say whether you would get this, and what would make it a yes. Leaves no trace."""
        ask = Ask(body.offering_id, body.purpose, tuple(sorted(set(body.actions))), body.days)
        supposed: dict[str, Supposed] = {
            name: Supposed(each.value, each.evidence) for name, each in body.attributes.items()
        }
        found = await explain_access(desk, caller, ask, supposed)
        lang = language(accept_language)
        return ExplanationOut(
            outcome=found.decision.outcome,
            reasons=worded([_said(each) for each in found.decision.reasons], lang),
            remedies=worded([_said(each) for each in found.decision.remedies], lang),
            changes=worded([_said(each) for each in found.changes], lang),
            outcome_after=found.after,
            terms_digest=found.asks_for.terms_digest,
            required_fields=[each.name for each in found.asks_for.form if each.required],
        )

    return routes


def _said(reason: Reason) -> Said:
    return Said(reason.code, reason.params)
