"""Routes of auditors' engagements, and of what they read: parse, call one verb, answer."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints, model_validator

from exchange.clock import RFC3339, now_ms, rfc3339
from exchange.formats.receipt import Receipt
from exchange.http import (
    ONE_LINE,
    Body,
    Caller,
    Cursor,
    IdempotencyKey,
    JSONRoute,
    Moment,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    milliseconds,
    problems,
)
from exchange.participants.api.organisations import BODY_PATTERN
from exchange.participants.end_engagement import end_engagement
from exchange.participants.engagements import MAX_NAMED, EndedBy, Engagement, Scope
from exchange.participants.engagements_store import EngagementsStore
from exchange.participants.open_engagement import open_engagement
from exchange.participants.store import Participants

EXAMPLE = "org_" + "0" * 26
EngagementId = Annotated[str, Path(pattern=f"^eng_{BODY_PATTERN}$", examples=["eng_" + "0" * 26])]
OrgRef = Annotated[str, StringConstraints(pattern=f"^org_{BODY_PATTERN}$", max_length=30)]
Auditor = Annotated[OrgRef | None, Query(examples=[EXAMPLE], description="Of this auditor only")]


class EngagementIn(Body):
    """What an auditor is to look into: everybody's affairs, or those of named organisations."""

    auditor: OrgRef = Field(examples=[EXAMPLE], description="An organisation with that role")
    scope: Scope = Field(description="`whole`: the whole log; `named`: `organisations`")
    organisations: Annotated[list[OrgRef], Field(max_length=MAX_NAMED)] = Field(
        [], description=f"With the scope `named`: 1 to {MAX_NAMED}"
    )
    ends_at: Annotated[str, StringConstraints(pattern=RFC3339, max_length=32)] = Field(
        examples=["2026-12-31T00:00:00Z"], description="RFC 3339, 366 days from now at most"
    )
    purpose: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=ONE_LINE)] = (
        Field(examples=["Yearly audit"], description="The log commits to it")
    )

    @model_validator(mode="after")
    def _names_fit(self) -> "EngagementIn":
        if len(set(self.organisations)) != len(self.organisations):
            raise ValueError("each organisation once")
        if (self.scope == "named") != bool(self.organisations):
            raise ValueError("name organisations with the scope named, and with it only")
        return self


class EngagementOut(Body):
    """An engagement; it ends by its date, or before if somebody ends it."""

    id: str
    auditor_id: str
    scope: Scope
    organisations: list[str]
    purpose: str
    status: Literal["active", "ended"]
    opened_at: str
    ends_at: str
    ended_at: str | None
    ended_by: EndedBy | None
    event_id: str
    end_event_id: str | None
    receipt: str | None = Field(None, description="Of the leaf that this very answer made")


class ReadOut(Body):
    """What an auditor asked to read of others' affairs, written down before it was answered."""

    id: str
    at: str
    auditor_id: str
    client_id: str
    member_id: str | None
    engagements: list[str]
    kind: str = Field(description="The route's path: `log_entries` is /v1/log/entries")
    filters: dict[str, str]
    event_id: str | None = Field(description="Its leaf; of a client and kind one in 15 minutes")


def router(store: EngagementsStore, participants: Participants, page_items: int) -> APIRouter:
    """Return the routes of engagements and of what was read under them."""
    routes = APIRouter(prefix="/v1", tags=["audit"], route_class=JSONRoute)
    operator = caller_with("operate", "operator")
    party = caller_with("participants", own_affairs=True)
    auditor = caller_with("log", "auditor", "operator", own_affairs=True)

    @routes.post(
        "/engagements", status_code=201, responses=problems(400, 401, 403, 404, 409, 415, 422, 503)
    )
    async def post_engagement(
        body: EngagementIn,
        caller: Annotated[Caller, operator],
        idempotency_key: IdempotencyKey = None,
    ) -> EngagementOut:
        """Ask an auditor to look into affairs, until a date (operator)."""
        made, receipt = await open_engagement(
            store,
            participants,
            caller,
            body.auditor,
            scope=body.scope,
            org_ids=body.organisations,
            ends_ms=milliseconds("ends_at", body.ends_at) or 0,
            purpose=body.purpose,
            idempotency_key=idempotency_key,
        )
        return _out(made, receipt)

    @routes.get("/engagements", responses=problems(400, 401, 403, 422, 503))
    async def get_engagements(
        caller: Annotated[Caller, party],
        auditor: Auditor = None,
        active: bool | None = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[EngagementOut]:
        """List engagements, newest first: all for the operator, an auditor's own."""
        found = await store.engagements(
            caller, decode_cursor(cursor), limit + 1, auditor_id=auditor, is_active=active
        )
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[_out(each) for each in found[:limit]], next=more)

    @routes.get("/engagements/{engagement_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_engagement(
        engagement_id: EngagementId, caller: Annotated[Caller, party]
    ) -> EngagementOut:
        """Show an engagement: any for the operator, an auditor's own."""
        return _out(await store.engagement(engagement_id, caller))

    @routes.post("/engagements/{engagement_id}/end", responses=problems(401, 403, 404, 422, 503))
    async def post_end(
        engagement_id: EngagementId, caller: Annotated[Caller, party]
    ) -> EngagementOut:
        """End an engagement for good (operator), or give it up (the auditor itself)."""
        return _out(*await end_engagement(store, caller, engagement_id))

    @routes.get("/log/reads", responses=problems(400, 401, 403, 422, 503))
    async def get_reads(
        caller: Annotated[Caller, auditor],
        auditor_id: Annotated[Auditor, Query(alias="auditor")] = None,
        since: Moment = None,
        until: Moment = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[ReadOut]:
        """List what auditors read, newest first: all for the operator, an auditor's own."""
        found = await store.reads(
            caller,
            decode_cursor(cursor),
            limit + 1,
            auditor_id=auditor_id,
            since_ms=milliseconds("since", since),
            until_ms=milliseconds("until", until),
        )
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[_read_out(row) for row in found[:limit]], next=more)

    return routes


def _out(engagement: Engagement, receipt: Receipt | None = None) -> EngagementOut:
    ended_by, ended_ms = engagement.ended(now_ms()) or (None, None)
    return EngagementOut(
        id=engagement.id,
        auditor_id=engagement.auditor_id,
        scope=engagement.scope,
        organisations=list(engagement.org_ids),
        purpose=engagement.purpose,
        status="active" if ended_by is None else "ended",
        opened_at=rfc3339(engagement.created_ms),
        ends_at=rfc3339(engagement.ends_ms),
        ended_at=None if ended_ms is None else rfc3339(ended_ms),
        ended_by=ended_by,
        event_id=engagement.event_id,
        end_event_id=engagement.end_event_id,
        receipt=receipt.encode() if receipt is not None else None,
    )


def _read_out(row: Any) -> ReadOut:
    return ReadOut(
        id=row.id,
        at=rfc3339(row.at_ms),
        auditor_id=row.auditor_id,
        client_id=row.client_id,
        member_id=row.member_id,
        engagements=row.engagements,
        kind=row.kind,
        filters=row.filters,
        event_id=row.event_id,
    )
