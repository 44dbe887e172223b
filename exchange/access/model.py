"""Asking and granting: pure types and rules."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from exchange.catalog.model import Offering
from exchange.formats import canonical
from exchange.formats.receipt import Receipt
from exchange.participants.model import Organisation
from exchange.policy.model import PolicyInput

RequestStatus = Literal["permitted", "denied", "pending_approval"]
GrantStatus = Literal["active", "revoked", "ended"]
RevocationReason = Literal["terms_breached", "no_longer_offered", "granted_by_mistake", "other"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What an SME asks of an offering: for which purpose, to do what, for how many days."""

    offering_id: str
    purpose: str
    actions: tuple[str, ...]
    days: int

    def key(self, client_id: str) -> str:
        """Return the once key under which asking again finds the same request or grant."""
        document = [client_id, self.offering_id, self.purpose, sorted(self.actions)]
        return "ask:" + hashlib.sha256(canonical.encode(document)).hexdigest()

    def as_document(self) -> dict[str, Any]:
        """Return the ask as JSON."""
        return {
            "offering_id": self.offering_id,
            "purpose": self.purpose,
            "actions": list(self.actions),
            "days": self.days,
        }


@dataclass(frozen=True, slots=True)
class Said:
    """A reason or remedy as stored: a code with parameters, worded only when shown."""

    code: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Grant:
    """A durable right of one client to one version of one offering, until it ends."""

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
    renewals: int
    status: GrantStatus
    status_index: int
    starts_ms: int
    ends_ms: int
    event_id: str
    rev: int

    def state(self, now_ms: int) -> GrantStatus:
        """Return its state now: a grant ends by the clock, its leaf follows."""
        return "ended" if self.status == "active" and now_ms >= self.ends_ms else self.status


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. `grant` is there exactly when it was permitted."""

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
    is_new: bool = False


def policy_input(
    now_ms: int,
    consumer: Organisation,
    provider: Organisation,
    offering: Offering,
    ask: Ask,
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
        "approvals": [],
    }
