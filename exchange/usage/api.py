"""Routes of use: what was used of a grant, and sums by day."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from exchange.access.api.documents import GrantId, OfferingRef
from exchange.access.store import AccessStore
from exchange.clock import now_ms, rfc3339
from exchange.errors import BadInput
from exchange.http import (
    Body,
    Caller,
    Cursor,
    JSONRoute,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    problems,
)
from exchange.usage.model import By, DaySums, GrantUsage, Sums, number_of, span
from exchange.usage.store import UsageStore

GrantRef = Annotated[str, Query(pattern="^grt_[0-9a-z]{4}_[0-9a-hjkmnp-tv-z]{26}$")]
Day = Annotated[
    date | None, Query(examples=["2026-01-31"], description="A day of UTC+8, the time of China")
]


class SumsOut(Body):
    """How much was used."""

    sessions: int = Field(description="Deliveries of one object or calls, a quarter of an hour")
    uses: int = Field(description="Requests for files, and calls")
    sent_bytes: int
    running: int = Field(description="Uses that have not ended yet")
    ended_unknown: int = Field(description="Uses of which nobody can say how they ended")
    authorised: int = Field(description="Uses that the platform's store delivered, uncounted")


class AllowanceOut(Body):
    """What is left of what the grant is held to."""

    obligation: str
    ceiling: int
    used: int
    left: int
    resets_at: str | None = Field(
        description="When it begins anew; null: with a renewal, at once if people approve it, "
        "else when the days that were granted are over"
    )


class GrantUsageOut(SumsOut):
    """What was used of a grant since it was given, and what is left."""

    grant_id: str
    offering_id: str
    last_use_at: str | None
    allowances: list[AllowanceOut]


class DayOut(SumsOut):
    """Sums of one day."""

    day: str = Field(description="YYYY-MM-DD, of UTC+8")
    key: str = Field(description="The id of the offering, grant or consumer; empty for all")


def router(store: AccessStore, page_items: int) -> APIRouter:
    """Return the routes of use."""
    routes = APIRouter(prefix="/v1", tags=["usage"], route_class=JSONRoute)
    usage, party = UsageStore(store), caller_with("grants")

    @routes.get("/grants/{grant_id}/usage", responses=problems(401, 403, 404, 422, 503))
    async def get_grant_usage(grant_id: GrantId, caller: Annotated[Caller, party]) -> GrantUsageOut:
        """Show what was used of a grant, and what is left of it."""
        grant = await store.grant_for(grant_id, caller)
        return _grant_usage_out(grant.id, grant.offering_id, await usage.of_grant(grant))

    @routes.get("/usage", responses=problems(400, 401, 403, 422, 503))
    async def get_usage(
        caller: Annotated[Caller, party],
        since: Day = None,
        until: Day = None,
        by: By = "all",
        offering_id: Annotated[OfferingRef | None, Query()] = None,
        grant_id: GrantRef | None = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[DayOut]:
        """Sum up by day what was used of grants that you hold or gave, newest day first.

        Of thirty days up to today unless `since` and `until` say which. A day without use is left
        out.
        """
        first, last = span(since, until, now_ms())
        found = await usage.by_day(
            caller,
            first,
            last,
            limit + 1,
            by=by,
            offering_id=offering_id,
            grant_id=grant_id,
            after=_after(cursor),
        )
        more = _cursor(found[limit - 1]) if len(found) > limit else None
        return Page(items=_days_out(found[:limit]), next=more)

    return routes


def _grant_usage_out(grant_id: str, offering_id: str, found: GrantUsage) -> GrantUsageOut:
    return GrantUsageOut(
        grant_id=grant_id,
        offering_id=offering_id,
        last_use_at=rfc3339(found.last_use_ms) if found.last_use_ms is not None else None,
        allowances=[
            AllowanceOut(
                obligation=each.obligation,
                ceiling=each.ceiling,
                used=each.used,
                left=each.left,
                resets_at=rfc3339(each.resets_ms) if each.resets_ms is not None else None,
            )
            for each in found.allowances
        ],
        **_sums(found.sums),
    )


def _days_out(found: Sequence[DaySums]) -> list[DayOut]:
    return [DayOut(day=each.day.isoformat(), key=each.key, **_sums(each.sums)) for each in found]


def _sums(sums: Sums) -> dict[str, int]:
    return {name: getattr(sums, name) for name in SumsOut.model_fields}


def _cursor(last: DaySums) -> str:
    return encode_cursor(f"{number_of(last.day):05d}{last.key}")


def _after(cursor: str | None) -> tuple[int, str] | None:
    text = decode_cursor(cursor)
    if text is None:
        return None
    if not text[:5].isdecimal():
        raise BadInput("cursor_unknown", "This cursor is not one of ours.")
    return int(text[:5]), text[5:]
