"""Holds: what may be suspended, by whom, and who may lift it. Pure types and rules.

    target          placed by                           lifted by
    grant           its platform, the operator, a rule  whoever placed it, or the operator
    offering        its platform, the operator          likewise
    organisation    the operator                        the operator

A suspension is a hold. Several may be open on one target; while any is, nothing is granted or
delivered that has to do with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from exchange.access.model import Said
from exchange.errors import Conflict, Forbidden

TargetKind = Literal["grant", "offering", "organisation"]
PlacedBy = Literal["platform", "operator", "rule"]
PeoplesReason = Literal[
    "terms_breached", "security_incident", "under_investigation", "unpaid", "other"
]
HoldReason = PeoplesReason | Literal["policy_would_refuse"]


@dataclass(frozen=True, slots=True)
class By:
    """Who acts: a side, and unless it is a rule the organisation, its client, the person."""

    side: PlacedBy
    org_id: str | None = None
    client_id: str | None = None
    member_id: str | None = None


RULE = By("rule")


@dataclass(frozen=True, slots=True)
class Target:
    """What a hold is on, as read: `rev` and `holds` are its row's, `state` is what it counts as."""

    kind: TargetKind
    id: str
    rev: int
    holds: int
    state: str
    consumer_id: str | None
    provider_id: str | None
    offering_id: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold, open until it is lifted."""

    log_id: str
    id: str
    target_kind: TargetKind
    target_id: str
    consumer_id: str | None
    provider_id: str | None
    placed_by: PlacedBy
    by_org: str | None
    by_client: str | None
    by_member: str | None
    reason: HoldReason
    text: str
    salt: str
    decision_id: str | None
    placed_ms: int
    event_id: str
    lifted_ms: int | None
    lifted_by: PlacedBy | None
    lifted_by_org: str | None
    lifted_by_client: str | None
    lifted_by_member: str | None
    lift_text: str | None
    lift_salt: str | None
    lift_decision_id: str | None
    lift_event_id: str | None
    rev: int
    policy_reasons: Sequence[Said] = ()  # where a rule placed it
    policy_remedies: Sequence[Said] = ()

    @property
    def is_open(self) -> bool:
        """Whether it still suspends."""
        return self.lifted_ms is None


def check_may_place(by: By, target: Target) -> None:
    """Raise Forbidden for what this side may not suspend, Conflict where nothing is left to."""
    if target.kind == "organisation" and by.side != "operator":
        raise Forbidden("hold_not_yours", "Only the operator may suspend an organisation.")
    if by.side == "platform" and target.provider_id != by.org_id:
        raise Forbidden(
            "hold_not_yours", "Only its platform or the operator may suspend a grant or offering."
        )
    if target.kind == "organisation" and target.id == by.org_id:
        raise Conflict("operator_not_held", "The operator cannot suspend itself.")
    if target.state in ("revoked", "ended"):
        raise Conflict(
            f"grant_{target.state}", f"The grant is {target.state}: nothing is left to suspend."
        )
    if target.state == "draft":
        raise Conflict(
            "offering_not_published", "A draft binds nobody: there is nothing to suspend."
        )


def check_may_lift(by: By, hold: Hold) -> None:
    """Raise Forbidden unless this organisation placed the hold, or is the operator."""
    if by.side == "operator" or hold.by_org == by.org_id:
        return
    placed = "a rule" if hold.placed_by == "rule" else f"the {hold.placed_by}"
    raise Forbidden(
        "hold_not_yours",
        f"It was placed by {placed}: only whoever placed a hold, or the operator, may lift it.",
        hint="A rule lifts its holds by itself, as soon as the policy would permit again.",
    )
