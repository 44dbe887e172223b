"""Documents of requests and grants: as they are sent, and as they are shown to whom."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Header, Path
from pydantic import Field, StringConstraints

from exchange.access.acts import PENDING
from exchange.access.api.endings import ClosedOut, RevokedOut, closed_out, revoked_out
from exchange.access.endings import Closing, Revocation
from exchange.access.holds import Hold, HoldReason, PlacedBy, TargetKind
from exchange.access.model import Answer, Grant, GrantStatus, RequestStatus, Said, Side
from exchange.clock import now_ms, rfc3339
from exchange.formats.receipt import Receipt
from exchange.http import SOME_LINES, Body, Caller
from exchange.locales import gettext
from exchange.policy.model import LARGEST
from exchange.policy.render import render

REST = "[0-9a-z]{4}_[0-9a-hjkmnp-tv-z]{26}"
RequestId = Annotated[str, Path(pattern=f"^req_{REST}$", examples=["req_0000_" + "0" * 26])]
GrantId = Annotated[str, Path(pattern=f"^grt_{REST}$", examples=["grt_0000_" + "0" * 26])]
AcceptLanguage = Annotated[
    str | None, Header(max_length=200, description="en or zh: the language of reasons")
]
OfferingRef = Annotated[str, StringConstraints(pattern="^off_[0-9a-hjkmnp-tv-z]{26}$")]
PurposeIn = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,63}$")]
Days = Annotated[int, Field(ge=1, le=LARGEST, strict=True)]
Action = Literal["read", "call"]
Actions = Annotated[
    list[Action], Field(min_length=1, max_length=2, json_schema_extra={"uniqueItems": True})
]
FormIn = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=40)],
        Annotated[bool, Field(strict=True)]
        | Annotated[int, Field(strict=True)]
        | Annotated[str, StringConstraints(max_length=2000)],
    ],
    Field(max_length=20),
]
Digest = Annotated[str, StringConstraints(pattern="^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=4000, pattern=SOME_LINES)]


def read_only() -> list[Action]:
    """Return what is asked for where nothing else is said."""
    return ["read"]


class AccessRequestIn(Body):
    """What you ask of an offering."""

    offering_id: OfferingRef = Field(examples=["off_" + "0" * 26])
    purpose: PurposeIn = Field(examples=["logistics_planning"])
    actions: Actions = Field(default_factory=read_only)
    days: Days = Field(examples=[30])
    form: FormIn = Field(
        default_factory=dict,
        description="The offering's `form`, filled in",
        examples=[{}],
    )
    accepted_terms: Digest | None = Field(
        None, description="The offering's `terms_digest`, if it has terms: you accept that text"
    )


class RenewalIn(Body):
    """How much longer you need a grant."""

    days: Days = Field(examples=[60], description="Counted from now")
    form: FormIn = Field(default_factory=dict, examples=[{}])
    accepted_terms: Digest | None = None


class StepIn(Body):
    """What you say."""

    text: Text = Field("", examples=["For which region do you need it?"])


class ApproveIn(StepIn):
    """What you say, and what you read."""

    form_digest: Digest | None = Field(
        None, description="The request's, as you read it: 409 where the form was changed since"
    )


class AnswerIn(StepIn):
    """Your answer, and the fields of the form that it changes."""

    form: FormIn = Field(default_factory=dict, examples=[{}])


class SaidOut(Body):
    """A reason or remedy: its code, its parameters, and the words for it."""

    code: str
    params: dict[str, Any]
    text: str


class SuspensionOut(Body):
    """What suspends a grant: a hold on it, on its offering, or on one of its two parties."""

    hold_id: str
    target_kind: TargetKind
    target_id: str
    placed_by: PlacedBy
    by_organisation_id: str | None = Field(description="None: a rule")
    reason: HoldReason | None = Field(description="Not told of a hold on the other party")
    reason_text: str | None
    text: str | None = Field(description="What whoever placed it said")
    since: str


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
    terms_digest: str | None
    renewals: int
    status: GrantStatus
    holds: list[SuspensionOut] = Field(description="Open ones: while there are any, no delivery")
    revocation: RevokedOut | None = Field(description="Who ended it for good, when and why")
    leaf_index: int = Field(description="Of its activation in the log")
    status_index: int = Field(description="Its random place in the platform's status list")
    starts_at: str
    ends_at: str
    event_id: str


class WaitingOut(Body):
    """Who has the request, since when, and until when before it lapses."""

    waits_for: Side = Field(serialization_alias="for")
    organisation_id: str
    since: str
    until: str
    approvals: int = Field(description="Of the form as it is now")
    approvers: int


class AccessRequestOut(Body):
    """A request and what became of it. `receipt` proves it is in the log (.tlog-proof)."""

    id: str
    status: RequestStatus
    consumer_id: str
    provider_id: str
    client_id: str
    offering_id: str
    offering_version: int
    purpose: str
    actions: list[str]
    days: int
    form: dict[str, Any]
    form_digest: str = Field(description="Of the form as it is now: an approval may name it")
    accepted_terms: str | None
    renews: str | None
    waiting: WaitingOut | None
    closed: ClosedOut | None = Field(description="Rejected, withdrawn or lapsed: by whom, and why")
    decision_id: str
    policy_digest: str
    reasons: list[SaidOut]
    remedies: list[SaidOut]
    grant: GrantOut | None
    event_id: str
    receipt: str | None
    created_at: str


class StepOut(Body):
    """One step of a request's life."""

    id: str
    kind: str
    by_organisation_id: str | None = Field(description="None: the clock")
    by_client_id: str | None
    by_member_id: str | None
    text: str
    form_changed: bool = Field(description="By an answer: approvals before it count no longer")
    at: str
    event_id: str


def codes(said: Sequence[Said], lang: str) -> list[SaidOut]:
    """Write reasons for those whom the parameters do not concern: words where there are none."""
    return [
        SaidOut(
            code=each.code,
            params={},
            text=each.code if each.params else render(each.code, {}, lang),
        )
        for each in said
    ]


def worded(said: Sequence[Said], lang: str) -> list[SaidOut]:
    """Write reasons or remedies in words."""
    return [
        SaidOut(code=each.code, params=dict(each.params), text=render(each.code, each.params, lang))
        for each in said
    ]


def grant_out(
    grant: Grant,
    caller: Caller,
    lang: str,
    holds: Sequence[Hold] = (),
    revocation: Revocation | None = None,
) -> GrantOut:
    """Write a grant, with the open holds that suspend it, or why it was revoked."""
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
        terms_digest=grant.terms_digest,
        renewals=grant.renewals,
        status=grant.state(now_ms()),
        holds=[_suspension_out(hold, caller, lang) for hold in holds],
        revocation=revoked_out(revocation, caller, lang) if revocation is not None else None,
        leaf_index=grant.leaf_index,
        status_index=grant.status_index,
        starts_at=rfc3339(grant.starts_ms),
        ends_at=rfc3339(grant.ends_ms),
        event_id=grant.event_id,
    )


def _suspension_out(hold: Hold, caller: Caller, lang: str) -> SuspensionOut:
    is_told = hold.target_kind != "organisation" or caller.reads(hold.target_id)
    return SuspensionOut(
        hold_id=hold.id,
        target_kind=hold.target_kind,
        target_id=hold.target_id,
        placed_by=hold.placed_by,
        by_organisation_id=hold.by_org,
        reason=hold.reason if is_told else None,
        reason_text=gettext("holds", lang)(hold.reason) if is_told else None,
        text=(hold.text or None) if is_told else None,
        since=rfc3339(hold.placed_ms),
    )


def request_out(
    answer: Answer,
    caller: Caller,
    lang: str,
    approvers: int = 1,
    receipt: Receipt | None = None,
    holds: Sequence[Hold] = (),
    revocation: Revocation | None = None,
    closing: Closing | None = None,
) -> AccessRequestOut:
    """Write an answer; a platform learns the codes, not what they say of the other party.

    `approvers` is how many the offering's version asks for; `receipt` stands in for the answer's;
    `holds` are those that suspend its grant, `revocation` is the grant's, `closing` the request's.
    """
    is_told = caller.reads(answer.consumer_id)
    grant = None
    if answer.grant is not None:
        grant = grant_out(answer.grant, caller, lang, holds, revocation)
    receipt = receipt or answer.receipt
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
        form=dict(answer.ask.form),
        form_digest=answer.ask.form_digest,
        accepted_terms=answer.ask.accepted_terms,
        renews=answer.renews,
        waiting=_waiting(answer, approvers),
        closed=closed_out(closing, caller, lang) if closing is not None else None,
        decision_id=answer.decision_id,
        policy_digest=answer.policy_digest,
        reasons=(worded if is_told else codes)(answer.reasons, lang),
        remedies=worded(answer.remedies, lang) if is_told else [],
        grant=grant,
        event_id=answer.event_id,
        receipt=receipt.encode() if receipt is not None else None,
        created_at=rfc3339(answer.created_ms),
    )


def _waiting(answer: Answer, approvers: int) -> WaitingOut | None:
    if answer.status != PENDING or answer.waits_for is None:
        return None
    party = {"provider": answer.provider_id, "consumer": answer.consumer_id}
    return WaitingOut(
        waits_for=answer.waits_for,
        organisation_id=party[answer.waits_for],
        since=rfc3339(answer.since_ms),
        until=rfc3339(answer.until_ms),
        approvals=len(answer.approvals),
        approvers=approvers,
    )


def step_out(row: Mapping[str, Any]) -> StepOut:
    """Write a step."""
    return StepOut(
        id=row["id"],
        kind=row["kind"],
        by_organisation_id=row["by_org"],
        by_client_id=row["by_client"],
        by_member_id=row["by_member"],
        text=row["text"],
        form_changed=row["form_changed"],
        at=rfc3339(row["at_ms"]),
        event_id=row["event_id"],
    )
