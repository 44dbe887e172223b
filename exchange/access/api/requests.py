"""Routes of asking: explain, request, list, show, and each step of a request's life."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field, StringConstraints

from exchange.access.act_on_request import act_on_request
from exchange.access.acts import PENDING, Act
from exchange.access.api.documents import (
    AcceptLanguage,
    AccessRequestIn,
    AccessRequestOut,
    Actions,
    AnswerIn,
    Days,
    OfferingRef,
    PurposeIn,
    RequestId,
    SaidOut,
    StepIn,
    StepOut,
    read_only,
    request_out,
    step_out,
    worded,
)
from exchange.access.approve_request import Done, approve_request
from exchange.access.explain_access import Supposed, explain_access
from exchange.access.holds import Hold
from exchange.access.holds_store import HoldsStore
from exchange.access.model import Answer, Ask, RequestStatus, Said, Side
from exchange.access.request_access import Desk, request_access
from exchange.catalog.form import Value
from exchange.errors import Denied
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


def router(desk: Desk, page_items: int) -> APIRouter:
    """Return the routes of requests."""
    routes = APIRouter(prefix="/v1", tags=["access"], route_class=JSONRoute)
    asker = caller_with("requests", "sme")
    party = caller_with("grants")
    suspended = HoldsStore(desk.ledger)

    async def shown(
        answer: Answer, caller: Caller, lang: str | None, done: Done | None = None
    ) -> AccessRequestOut:
        approvers = 1
        if answer.status == PENDING:
            terms, _ = await desk.catalog.version(answer.ask.offering_id, answer.offering_version)
            approvers = terms.approvers
        receipt = done.receipt if done is not None else None
        holds: Sequence[Hold] = ()
        if answer.grant is not None:
            holds = (await suspended.suspending([answer.grant])).get(answer.grant.id, ())
        return request_out(answer, caller, language(lang), approvers, receipt, holds)

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
        """Ask for access (SME). A refusal is 403 with reasons, remedies and its receipt."""
        ask = Ask(
            body.offering_id,
            body.purpose,
            tuple(sorted(set(body.actions))),
            body.days,
            body.form,
            body.accepted_terms,
        )
        answer = await request_access(desk, caller, ask, idempotency_key)
        return answered(await shown(answer, caller, accept_language), is_new=answer.is_new)

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
        return Page(
            items=[await shown(each, caller, accept_language) for each in found[:limit]], next=more
        )

    @routes.get("/access-requests/{request_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_request(
        request_id: RequestId,
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
    ) -> AccessRequestOut:
        """Show a request, with a receipt against the newest checkpoint."""
        return await shown(await desk.store.answer(request_id, caller), caller, accept_language)

    @routes.get(
        "/access-requests/{request_id}/steps", responses=problems(400, 401, 403, 404, 422, 503)
    )
    async def get_steps(
        request_id: RequestId,
        caller: Annotated[Caller, party],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[StepOut]:
        """List what was done about a request, in order: questions, answers, approvals, …"""
        await desk.store.held(request_id, caller)
        found = await desk.store.steps(request_id, decode_cursor(cursor), limit + 1)
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[step_out(row._asdict()) for row in found[:limit]], next=more)

    @routes.post(
        "/access-requests/{request_id}/approve",
        response_model=AccessRequestOut,
        responses={
            **ACTED,
            202: {"model": AccessRequestOut, "description": "Waits for more people's approval"},
        },
    )
    async def post_approve(
        request_id: RequestId,
        body: StepIn,
        caller: Annotated[Caller, caller_with("approvals", "platform")],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Approve (a person of the platform's); the grant comes when enough people have."""
        done = await approve_request(desk, caller, request_id, body.text, idempotency_key)
        document = await shown(done.answer, caller, accept_language, done)
        status = 202 if done.answer.status == PENDING else 200
        return Response(
            document.model_dump_json(by_alias=True), status, media_type="application/json"
        )

    async def act(
        name: Act,
        request_id: str,
        text: str,
        caller: Caller,
        lang: str | None,
        key: str | None,
        form: Mapping[str, Value] | None = None,
    ) -> AccessRequestOut:
        done = await act_on_request(desk, caller, request_id, name, text, form, key)
        return await shown(done.answer, caller, lang, done)

    @routes.post("/access-requests/{request_id}/reject", responses=ACTED)
    async def post_reject(
        request_id: RequestId,
        body: StepIn,
        caller: Annotated[Caller, caller_with("approvals", "platform")],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> AccessRequestOut:
        """Reject, and say why (a person of the platform's)."""
        return await act("reject", request_id, body.text, caller, accept_language, idempotency_key)

    @routes.post("/access-requests/{request_id}/ask", responses=ACTED)
    async def post_ask(
        request_id: RequestId,
        body: StepIn,
        caller: Annotated[Caller, caller_with("approvals", "platform")],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> AccessRequestOut:
        """Ask the applicant back: the request waits for their answer (a person of the platform)."""
        return await act("ask", request_id, body.text, caller, accept_language, idempotency_key)

    @routes.post("/access-requests/{request_id}/answer", responses=ACTED)
    async def post_answer(
        request_id: RequestId,
        body: AnswerIn,
        caller: Annotated[Caller, asker],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> AccessRequestOut:
        """Answer a question; `form` changes fields of the form (the applicant)."""
        return await act(
            "answer", request_id, body.text, caller, accept_language, idempotency_key, body.form
        )

    @routes.post("/access-requests/{request_id}/comment", responses=ACTED)
    async def post_comment(
        request_id: RequestId,
        body: StepIn,
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> AccessRequestOut:
        """Leave a comment that both sides read."""
        return await act("comment", request_id, body.text, caller, accept_language, idempotency_key)

    @routes.post("/access-requests/{request_id}/withdraw", responses=ACTED)
    async def post_withdraw_request(
        request_id: RequestId,
        body: StepIn,
        caller: Annotated[Caller, asker],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> AccessRequestOut:
        """Withdraw a request that waits (the applicant)."""
        return await act(
            "withdraw", request_id, body.text, caller, accept_language, idempotency_key
        )

    @routes.post("/access-requests/{request_id}/appeal", responses=ACTED)
    async def post_appeal(
        request_id: RequestId,
        body: StepIn,
        caller: Annotated[Caller, caller_with("grants", while_suspended=True)],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> AccessRequestOut:
        """Answer a refusal, a suspension or a revocation (the applicant); it stands in the log.

        A request that people rejected, or that lapsed, waits for the platform once more.
        """
        return await act("appeal", request_id, body.text, caller, accept_language, idempotency_key)

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
        )

    return routes


def _said(reason: Reason) -> Said:
    return Said(reason.code, reason.params)


def answered(shown: AccessRequestOut, *, is_new: bool) -> Response:
    """Answer a request that was decided; raises Denied with what was said."""
    if shown.status == "denied":
        raise Denied(
            "access_denied",
            "; ".join(reason.text for reason in shown.reasons),
            hint="; ".join(remedy.text for remedy in shown.remedies) or None,
            members={"access_request": shown.model_dump(by_alias=True)},
        )
    status: Literal[200, 201, 202] = 201 if is_new else 200
    if shown.status == PENDING:
        status = 202
    # Written here: the framework would check once more what this type has just checked.
    return Response(shown.model_dump_json(by_alias=True), status, media_type="application/json")
