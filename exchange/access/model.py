"""Asking and granting: pure types and rules."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from exchange.catalog.form import Value
from exchange.catalog.model import Offering
from exchange.formats import canonical
from exchange.formats.receipt import Receipt
from exchange.participants.model import Organisation
from exchange.policy.model import Approval, PolicyInput

RequestStatus = Literal[
    "permitted", "denied", "pending_approval", "approved", "rejected", "withdrawn", "lapsed"
]
Side = Literal["provider", "consumer"]
GrantStatus = Literal["active", "suspended", "revoked", "ended"]
RevocationReason = Literal["terms_breached", "no_longer_offered", "granted_by_mistake", "other"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What an SME asks of an offering: for which purpose, to do what, for how many days.

    `form` is the offering's form filled in, `accepted_terms` the digest of the text accepted.
    """

    offering_id: str
    purpose: str
    actions: tuple[str, ...]
    days: int
    form: Mapping[str, Value] = field(default_factory=dict)
    accepted_terms: str | None = None

    @property
    def form_digest(self) -> str:
        """`sha256:…` of the filled-in form's canonical JSON (RFC 8785): what an approver read."""
        return "sha256:" + hashlib.sha256(canonical.encode(dict(self.form))).hexdigest()

    def key(self, client_id: str) -> str:
        """Return the once key under which asking again finds the same request or grant."""
        document = [client_id, self.offering_id, self.purpose, sorted(self.actions)]
        return "ask:" + hashlib.sha256(canonical.encode(document)).hexdigest()

    def as_document(self) -> dict[str, Any]:
        """Return the ask as JSON."""
        document: dict[str, Any] = {
            "offering_id": self.offering_id,
            "purpose": self.purpose,
            "actions": list(self.actions),
            "days": self.days,
        }
        if self.form:
            document["form"] = dict(self.form)
        if self.accepted_terms is not None:
            document["accepted_terms"] = self.accepted_terms
        return document


@dataclass(frozen=True, slots=True)
class Said:
    """A reason or remedy as stored: a code with parameters, worded only when shown."""

    code: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Grant:
    """A durable right of one client to one version of one offering, until it ends.

    `allowance` is the number of renewals when its present allowance began, which is for a period:
    until `allowance_until_ms`. From then on it is that of the renewals, which have moved the end.
    """

    log_id: str
    id: str
    request_id: str
    decision_id: str
    consumer_id: str
    provider_id: str
    client_id: str
    offering_id: str
    offering_version: int
    purpose: str
    actions: Sequence[str]
    obligations: Mapping[str, Any]
    ask: str
    terms_digest: str | None
    approvals: Sequence[Approval]
    renewals: int
    allowance: int
    allowance_until_ms: int
    status: GrantStatus
    leaf_index: int
    status_index: int
    starts_ms: int
    ends_ms: int
    event_id: str
    rev: int
    holds: int = 0  # open ones on the grant itself
    holds_around: int = field(default=0, compare=False)  # on its offering and its two parties

    def allowance_at(self, now_ms: int) -> int:
        """Return the number of the allowance that is spent at a moment."""
        return self.allowance if now_ms < self.allowance_until_ms else self.renewals

    def state(self, now_ms: int) -> GrantStatus:
        """Return its state now: a grant ends by the clock, its leaf follows; any hold suspends."""
        if self.status != "active":
            return self.status
        if now_ms >= self.ends_ms:
            return "ended"
        return "suspended" if self.holds or self.holds_around else "active"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. `grant` is there when it was permitted, approved, or a renewal.

    `waits_for` says whose turn it is, since when and until when: after that the request lapses.
    """

    request_id: str
    decision_id: str
    status: RequestStatus
    consumer_id: str
    provider_id: str
    client_id: str
    ask: Ask
    offering_version: int
    reasons: Sequence[Said]
    remedies: Sequence[Said]
    policy_digest: str
    event_id: str
    created_ms: int
    grant: Grant | None
    receipt: Receipt | None
    renews: str | None = None
    waits_for: Side | None = None
    since_ms: int = 0
    until_ms: int = 0
    approvals: Sequence[Approval] = ()
    rev: int = 1
    is_new: bool = False


def policy_input(
    now_ms: int,
    consumer: Organisation,
    provider: Organisation,
    offering: Offering,
    ask: Ask,
    approvals: Sequence[Approval] = (),
) -> PolicyInput:
    """Build the input document; everything that the policy may know is in it."""
    roles: Any = sorted(consumer.roles)
    attributes: Any = {
        name: {"value": attribute.value, "evidence": attribute.evidence}
        for name, attribute in consumer.attributes.items()
    }
    return {
        "now": now_ms // 1000,
        "consumer": {
            "id": consumer.id,
            "status": consumer.status,
            "roles": roles,
            "attributes": attributes,
        },
        "provider": {"id": provider.id, "status": provider.status},
        "offering": offering.policy_terms(),
        "request": {"purpose": ask.purpose, "actions": list(ask.actions), "days": ask.days},
        "approvals": list(approvals),
    }
