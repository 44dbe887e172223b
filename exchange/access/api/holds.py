"""Routes of holds: place, list, show, lift."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from exchange.access.api.documents import (
    REST,
    AcceptLanguage,
    SaidOut,
    Text,
    codes,
    worded,
)
from exchange.access.holds import Hold, HoldReason, PeoplesReason, PlacedBy, TargetKind
from exchange.access.holds_store import HoldsStore
from exchange.access.lift_hold import lift_hold
from exchange.access.place_hold import HeldNow, place_hold
from exchange.access.request_access import Desk
from exchange.clock import rfc3339
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
from exchange.locales import gettext

BODY = "[0-9a-hjkmnp-tv-z]{26}"
HoldId = Annotated[str, Path(pattern=f"^hld_{REST}$", examples=["hld_0000_" + "0" * 26])]
TargetId = Annotated[
    str, StringConstraints(pattern=f"^(grt_{REST}|off_{BODY}|org_{BODY})$", max_length=40)
]
EXAMPLE = "grt_0000_" + "0" * 26


class HoldIn(Body):
    """What to suspend, and why."""

    target: TargetId = Field(
        examples=[EXAMPLE], description="A grant, an offering or an organisation (operator)"
    )
    reason: PeoplesReason = "other"
    text: Text = Field("", description="For the other side to read; the log commits to it")


class LiftIn(Body):
    """Why it is lifted."""

    text: Text = ""


class HoldOut(Body):
    """A hold: until it is lifted nothing is granted or delivered that has to do with its target.

    `policy_reasons` and `policy_remedies` are what the policy said, where a rule placed it.
    """

    id: str
    target: str
    target_kind: TargetKind
    consumer_id: str | None
    provider_id: str | None
    placed_by: PlacedBy
    by_organisation_id: str | None = Field(description="None: a rule")
    by_client_id: str | None
    by_member_id: str | None
    reason: HoldReason
    reason_text: str
    text: str
    policy_reasons: list[SaidOut]
    policy_remedies: list[SaidOut]
    placed_at: str
    event_id: str
    open: bool
    lifted_at: str | None
    lifted_by: PlacedBy | None
    lifted_by_organisation_id: str | None
    lifted_by_client_id: str | None
    lifted_by_member_id: str | None
    lift_text: str | None
    lift_event_id: str | None
    receipt: str | None = Field(None, description="Of the leaf that this very answer made")


def router(desk: Desk, page_items: int) -> APIRouter:
    """Return the routes of holds."""
    routes = APIRouter(prefix="/v1", tags=["holds"], route_class=JSONRoute)
    party = caller_with("grants")
    placer = caller_with("holds", "platform", "operator")
    store = HoldsStore(desk.ledger)

    @routes.post(
        "/holds", status_code=201, responses=problems(400, 401, 403, 404, 409, 415, 422, 503)
    )
    async def post_hold(
        body: HoldIn,
        caller: Annotated[Caller, placer],
        accept_language: AcceptLanguage = None,
        idempotency_key: IdempotencyKey = None,
    ) -> HoldOut:
        """Suspend your grant or offering (platform), or anything (operator), for now."""
        held = await place_hold(desk, caller, body.target, body.reason, body.text, idempotency_key)
        return _changed(held, caller, language(accept_language))

    @routes.get("/holds", responses=problems(400, 401, 403, 422, 503))
    async def get_holds(
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
        target: Annotated[TargetId | None, Query(examples=[EXAMPLE])] = None,
        is_open: Annotated[bool | None, Query(alias="open")] = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[HoldOut]:
        """List holds on your organisation, your grants and your offerings, newest first."""
        found = await store.holds(
            caller, decode_cursor(cursor), limit + 1, target_id=target, is_open=is_open
        )
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        lang = language(accept_language)
        return Page(items=[_hold_out(hold, caller, lang) for hold in found[:limit]], next=more)

    @routes.get("/holds/{hold_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_hold(
        hold_id: HoldId,
        caller: Annotated[Caller, party],
        accept_language: AcceptLanguage = None,
    ) -> HoldOut:
        """Show a hold: who placed it, since when, why, and who lifted it."""
        hold = await store.hold_for(hold_id, caller)
        return _hold_out(hold, caller, language(accept_language))

    @routes.post("/holds/{hold_id}/lift", responses=problems(400, 401, 403, 404, 415, 422, 503))
    async def post_lift(
        hold_id: HoldId,
        body: LiftIn,
        caller: Annotated[Caller, placer],
        accept_language: AcceptLanguage = None,
    ) -> HoldOut:
        """Lift a hold that you placed, or any as operator. Lifting again changes nothing."""
        held = await lift_hold(desk, caller, hold_id, body.text)
        return _changed(held, caller, language(accept_language))

    return routes


def _changed(held: HeldNow, caller: Caller, lang: str) -> HoldOut:
    shown = _hold_out(held.hold, caller, lang)
    shown.receipt = held.receipt.encode() if held.receipt is not None else None
    return shown


def _hold_out(hold: Hold, caller: Caller, lang: str) -> HoldOut:
    """Write a hold; a platform learns the policy's codes, not what they say of the other party."""
    is_told = caller.reads(hold.consumer_id)
    return HoldOut(
        id=hold.id,
        target=hold.target_id,
        target_kind=hold.target_kind,
        consumer_id=hold.consumer_id,
        provider_id=hold.provider_id,
        placed_by=hold.placed_by,
        by_organisation_id=hold.by_org,
        by_client_id=hold.by_client,
        by_member_id=hold.by_member,
        reason=hold.reason,
        reason_text=gettext("holds", lang)(hold.reason),
        text=hold.text,
        policy_reasons=(worded if is_told else codes)(hold.policy_reasons, lang),
        policy_remedies=worded(hold.policy_remedies, lang) if is_told else [],
        placed_at=rfc3339(hold.placed_ms),
        event_id=hold.event_id,
        open=hold.is_open,
        lifted_at=rfc3339(hold.lifted_ms) if hold.lifted_ms is not None else None,
        lifted_by=hold.lifted_by,
        lifted_by_organisation_id=hold.lifted_by_org,
        lifted_by_client_id=hold.lifted_by_client,
        lifted_by_member_id=hold.lifted_by_member,
        lift_text=hold.lift_text,
        lift_event_id=hold.lift_event_id,
    )
