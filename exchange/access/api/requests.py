"""Routes of requests and grants: parse, call one verb, answer."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import Field, StringConstraints

from exchange.access.model import Answer, Ask, Grant, RevocationReason, Said
from exchange.access.request_access import Desk, request_access
from exchange.access.revoke_grant import revoke_grant
from exchange.clock import now_ms, rfc3339
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
from exchange.policy.model import LARGEST
from exchange.policy.render import render

REST = "[0-9a-z]{4}_[0-9a-hjkmnp-tv-z]{26}"
RequestId = Annotated[str, Path(pattern=f"^req_{REST}$", examples=["req_0000_" + "0" * 26])]
GrantId = Annotated[str, Path(pattern=f"^grt_{REST}$", examples=["grt_0000_" + "0" * 26])]
AcceptLanguage = Annotated[
    str | None, Header(max_length=200, description="en or zh: the language of reasons")
]


Action = Literal["read", "call"]


def _read() -> list[Action]:
    return ["read"]


class AccessRequestIn(Body):
    """What you ask of an offering."""

    offering_id: Annotated[str, StringConstraints(pattern="^off_[0-9a-hjkmnp-tv-z]{26}$")] = Field(
        examples=["off_" + "0" * 26]
    )
    purpose: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,63}$")] = Field(
        examples=["logistics_planning"]
    )
    actions: Annotated[
        list[Action],
        Field(min_length=1, max_length=2, json_schema_extra={"uniqueItems": True}),
    ] = Field(default_factory=_read)
    days: Annotated[int, Field(ge=1, le=LARGEST, strict=True)] = Field(examples=[30])


class SaidOut(Body):
    """A reason or remedy: its code, its parameters, and the words for it."""

    code: str
    params: dict[str, Any]
    text: str


class GrantOut(Body):
    """A grant: a right to one version of one offering until it ends."""

    id: str
    request_id: str
    consumer_id: str
    provider_id: str
    client_id: str
    offering_id: str
    offering_version: int
    purpose: str
    actions: list[str]
    obligations: dict[str, Any]
    status: Literal["active", "revoked", "ended"]
    status_index: int
    starts_at: str
    ends_at: str
    event_id: str


class AccessRequestOut(Body):
    """A request and what became of it. `receipt` proves it is in the log (.tlog-proof)."""

    id: str
    status: Literal["permitted", "denied", "pending_approval"]
    consumer_id: str
    provider_id: str
    client_id: str
    offering_id: str
    offering_version: int
    purpose: str
    actions: list[str]
    days: int
    decision_id: str
    policy_digest: str
    reasons: list[SaidOut]
    remedies: list[SaidOut]
    grant: GrantOut | None
    event_id: str
    receipt: str | None
    created_at: str


class RevocationIn(Body):
    """Why a grant is revoked."""

    reason: RevocationReason = "other"


class RevocationOut(Body):
    """The revoked grant, with the receipt of its revocation the first time."""

    grant: GrantOut
    receipt: str | None


def router(desk: Desk, page_items: int) -> APIRouter:
    """Return the routes of requests and grants."""
    routes = APIRouter(prefix="/v1", tags=["access"], route_class=JSONRoute)
    asker = caller_with("requests", "sme")
    party = caller_with("grants")

    @routes.post(
        "/access-requests",
        status_code=201,
        response_model=AccessRequestOut,
        responses={
            **problems(400, 401, 403, 404, 415, 422, 503),
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
        ask = Ask(body.offering_id, body.purpose, tuple(sorted(set(body.actions))), body.days)
        answer = await request_access(desk, caller, ask, idempotency_key)
        shown = _request_out(answer, caller, language(accept_language))
        if answer.status == "denied":
            raise Denied(
                "access_denied",
                "; ".join(reason.text for reason in shown.reasons),
                hint="; ".join(remedy.text for remedy in shown.remedies) or None,
                members={"access_request": shown.model_dump()},
            )
        status = 202 if answer.status == "pending_approval" else 201 if answer.is_new else 200
        # Written here: the framework would check once more what this type has just checked.
        return Response(shown.model_dump_json(), status, media_type="application/json")

    @routes.get("/access-requests", responses=problems(400, 401, 403, 422, 503))
    async def get_requests(
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[AccessRequestOut]:
        """List requests that you made or that concern your offerings, newest first."""
        found = await desk.store.answers(caller, decode_cursor(cursor), limit + 1)
        more = encode_cursor(found[limit - 1].request_id) if len(found) > limit else None
        items = [_request_out(a, caller, language(accept_language)) for a in found[:limit]]
        return Page(items=items, next=more)

    @routes.get("/access-requests/{request_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_request(
        request_id: RequestId,
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
    ) -> AccessRequestOut:
        """Show a request, with a receipt against the newest checkpoint."""
        answer = await desk.store.answer(request_id, caller)
        return _request_out(answer, caller, language(accept_language))

    @routes.get("/grants", responses=problems(400, 401, 403, 422, 503))
    async def get_grants(
        caller: Annotated[Caller, party],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[GrantOut]:
        """List grants that you hold or gave, newest first."""
        found = await desk.store.grants(caller, decode_cursor(cursor), limit + 1)
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[_grant_out(grant) for grant in found[:limit]], next=more)

    @routes.get("/grants/{grant_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_grant(grant_id: GrantId, caller: Annotated[Caller, party]) -> GrantOut:
        """Show a grant."""
        return _grant_out(await desk.store.grant_for(grant_id, caller))

    @routes.post(
        "/grants/{grant_id}/revoke", responses=problems(400, 401, 403, 404, 409, 415, 422, 503)
    )
    async def post_revoke(
        grant_id: GrantId, body: RevocationIn, caller: Annotated[Caller, party]
    ) -> RevocationOut:
        """Revoke a grant for good (its platform, or the operator)."""
        grant, receipt = await revoke_grant(desk.ledger, desk.store, caller, grant_id, body.reason)
        return RevocationOut(
            grant=_grant_out(grant), receipt=receipt.encode() if receipt is not None else None
        )

    return routes


def _codes(said: Sequence[Said]) -> list[SaidOut]:
    return [SaidOut(code=each.code, params={}, text=each.code) for each in said]


def _said(said: Sequence[Said], lang: str) -> list[SaidOut]:
    return [
        SaidOut(code=each.code, params=dict(each.params), text=render(each.code, each.params, lang))
        for each in said
    ]


def _grant_out(grant: Grant) -> GrantOut:
    return GrantOut(
        id=grant.id,
        request_id=grant.request_id,
        consumer_id=grant.consumer_id,
        provider_id=grant.provider_id,
        client_id=grant.client_id,
        offering_id=grant.offering_id,
        offering_version=grant.offering_version,
        purpose=grant.purpose,
        actions=list(grant.actions),
        obligations=dict(grant.obligations),
        status=grant.state(now_ms()),
        status_index=grant.status_index,
        starts_at=rfc3339(grant.starts_ms),
        ends_at=rfc3339(grant.ends_ms),
        event_id=grant.event_id,
    )


def _request_out(answer: Answer, caller: Caller, lang: str) -> AccessRequestOut:
    """Write an answer; a platform learns the codes, not what they say of the other party."""
    is_told = caller.reads(answer.consumer_id)
    return AccessRequestOut(
        id=answer.request_id,
        status=answer.status,
        consumer_id=answer.consumer_id,
        provider_id=answer.provider_id,
        client_id=answer.client_id,
        offering_id=answer.ask.offering_id,
        offering_version=answer.offering_version,
        purpose=answer.ask.purpose,
        actions=list(answer.ask.actions),
        days=answer.ask.days,
        decision_id=answer.decision_id,
        policy_digest=answer.policy_digest,
        reasons=_said(answer.reasons, lang) if is_told else _codes(answer.reasons),
        remedies=_said(answer.remedies, lang) if is_told else [],
        grant=_grant_out(answer.grant) if answer.grant is not None else None,
        event_id=answer.event_id,
        receipt=answer.receipt.encode() if answer.receipt is not None else None,
        created_at=rfc3339(answer.created_ms),
    )
