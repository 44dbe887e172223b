"""How requests, and what was decided of them, are answered."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from fastapi import Response

from exchange.access.acts import PENDING
from exchange.access.api.documents import AccessRequestOut, request_out
from exchange.access.approve_request import standing_approvals
from exchange.access.endings import Endings
from exchange.access.holds_store import HoldsStore
from exchange.access.model import Answer
from exchange.access.request_access import Desk
from exchange.errors import Denied
from exchange.formats.receipt import Receipt
from exchange.http import Caller, language


async def show_requests(
    desk: Desk,
    answers: Sequence[Answer],
    caller: Caller,
    accept_language: str | None,
    receipt: Receipt | None = None,
) -> list[AccessRequestOut]:
    """Write requests as this caller may see them, with what suspends or ended their grants.

    `receipt`, of the step that was just done, stands in for the newest of the request's own.
    """
    grants = [answer.grant for answer in answers if answer.grant is not None]
    holds, ended = await HoldsStore(desk.ledger).suspending(grants), Endings(desk.ledger)
    revoked, closed = await ended.revocations(grants), await ended.closings(answers)
    shown = []
    for each in answers:
        answer, approvers = each, 1
        if answer.status == PENDING:
            terms, _ = await desk.catalog.version(answer.ask.offering_id, answer.offering_version)
            approvers = terms.approvers
            answer = replace(answer, approvals=(await standing_approvals(desk, answer))[0])
        grant_id = answer.grant.id if answer.grant is not None else ""
        lang = language(accept_language)
        why = (holds.get(grant_id, ()), revoked.get(grant_id), closed.get(answer.request_id))
        shown.append(request_out(answer, caller, lang, approvers, receipt, *why))
    return shown


async def show_request(
    desk: Desk,
    answer: Answer,
    caller: Caller,
    accept_language: str | None,
    receipt: Receipt | None = None,
) -> AccessRequestOut:
    """Write one request as this caller may see it."""
    [shown] = await show_requests(desk, [answer], caller, accept_language, receipt)
    return shown


async def answer_decided(
    desk: Desk, answer: Answer, caller: Caller, accept_language: str | None
) -> Response:
    """Answer a request that was decided; raises Denied with what was said."""
    shown = await show_request(desk, answer, caller, accept_language)
    if shown.status == "denied":
        raise Denied(
            "access_denied",
            "; ".join(reason.text for reason in shown.reasons),
            hint="; ".join(remedy.text for remedy in shown.remedies) or None,
            members={"access_request": shown.model_dump(by_alias=True)},
        )
    status: Literal[200, 201, 202] = 201 if answer.is_new else 200
    if shown.status == PENDING:
        status = 202
    return written(shown, status)


def written(shown: AccessRequestOut, status: int) -> Response:
    """Answer with a document that its type has checked, which the framework would check again."""
    return Response(shown.model_dump_json(by_alias=True), status, media_type="application/json")
