"""Routes of the steps of a request's life: listed, and taken by either side."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from exchange.access.act_on_request import act_on_request
from exchange.access.acts import PENDING, Act
from exchange.access.api.answers import show_request, written
from exchange.access.api.documents import (
    AcceptLanguage,
    AccessRequestOut,
    AnswerIn,
    ApproveIn,
    RequestId,
    StepIn,
    StepOut,
    step_out,
)
from exchange.access.approve_request import approve_request
from exchange.access.request_access import Desk
from exchange.http import (
    Caller,
    Cursor,
    IdempotencyKey,
    JSONRoute,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    problems,
)

ACTED = problems(400, 401, 403, 404, 409, 415, 422, 503)
ASKER, PARTY = caller_with("requests"), caller_with("grants")
APPROVER = caller_with("approvals", "platform")
# Acts that take words and nothing else: by whom, and what the API's pages say of them.
ACTS: Mapping[Act, tuple[Any, str]] = {
    "reject": (APPROVER, "Reject, and say why (a person of the platform's)."),
    "ask": (
        APPROVER,
        "Ask the applicant back: the request waits for their answer (a person of the platform's).",
    ),
    "comment": (PARTY, "Leave a comment that both sides read."),
    "withdraw": (ASKER, "Withdraw a request that waits (the applicant)."),
    "appeal": (
        caller_with("grants", while_suspended=True),
        (
            "Answer a refusal, a suspension or a revocation (the applicant); it stands in the log."
            "\n\nA request that people rejected, or that lapsed, waits for the platform once more."
        ),
    ),
}


def router(desk: Desk, page_items: int) -> APIRouter:
    """Return the routes of steps."""
    routes = APIRouter(
        prefix="/v1/access-requests/{request_id}", tags=["access"], route_class=JSONRoute
    )

    @routes.get("/steps", responses=problems(400, 401, 403, 404, 422, 503))
    async def get_steps(
        request_id: RequestId,
        caller: Annotated[Caller, PARTY],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[StepOut]:
        """List what was done about a request, in order: questions, answers, approvals, …"""
        await desk.store.held(request_id, caller)
        found = await desk.store.steps(request_id, decode_cursor(cursor), limit + 1)
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[step_out(row._asdict()) for row in found[:limit]], next=more)

    @routes.post(
        "/approve",
        response_model=AccessRequestOut,
        responses={
            **ACTED,
            202: {"model": AccessRequestOut, "description": "Waits for more people's approval"},
        },
    )
    async def post_approve(
        request_id: RequestId,
        body: ApproveIn,
        caller: Annotated[Caller, APPROVER],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Approve (a person of the platform's); the grant comes when enough people have.

        With `form_digest` only the form that you read.
        """
        done = await approve_request(
            desk, caller, request_id, body.text, body.form_digest, idempotency_key
        )
        shown = await show_request(desk, done.answer, caller, accept_language, done.receipt)
        return written(shown, 202 if done.answer.status == PENDING else 200)

    @routes.post("/answer", responses=ACTED)
    async def post_answer(
        request_id: RequestId,
        body: AnswerIn,
        caller: Annotated[Caller, ASKER],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> AccessRequestOut:
        """Answer a question; `form` changes fields of the form (the applicant).

        Where it changes any, approvals that were given before count no longer.
        """
        done = await act_on_request(
            desk, caller, request_id, "answer", body.text, body.form, idempotency_key
        )
        return await show_request(desk, done.answer, caller, accept_language, done.receipt)

    for act, (who, said) in ACTS.items():
        routes.add_api_route(
            f"/{act}",
            _acting(desk, act, who),
            methods=["POST"],
            name=f"post_request_{act}",
            description=said,
            responses=ACTED,
        )
    return routes


def _acting(desk: Desk, act: Act, who: Any) -> Any:
    """Return the endpoint of an act that takes words and nothing else."""

    async def endpoint(
        request_id: RequestId,
        body: StepIn,
        caller: Annotated[Caller, who],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> AccessRequestOut:
        done = await act_on_request(
            desk, caller, request_id, act, body.text, idempotency_key=idempotency_key
        )
        return await show_request(desk, done.answer, caller, accept_language, done.receipt)

    return endpoint
