"""What a decided request leaves behind: rows, one leaf, and keys by which it answers again."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exchange.access.model import Answer, Ask, Grant, RequestStatus, Said
from exchange.access.store import DECISIONS, GRANTS, REQUESTS
from exchange.catalog.model import Offering
from exchange.catalog.store import OFFERINGS
from exchange.chance import random_bytes
from exchange.clock import DAY_MS
from exchange.formats import canonical
from exchange.formats.receipt import Receipt
from exchange.ids import new_id
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Event, Insert, JSONObject, LeafIndex, Once, RowKey, Write
from exchange.participants.model import Client, Organisation
from exchange.participants.store import CLIENTS, ORGANISATIONS
from exchange.policy.activate import ACTIVE, STATE, PolicyInForce
from exchange.policy.model import Decision, PolicyInput

NEVER_MS = 2**53 - 1
PENDING_MS = 3650 * DAY_MS  # until requests lapse, a pending one stands
STATUS: Mapping[str, RequestStatus] = {
    "permit": "permitted",
    "deny": "denied",
    "needs_approval": "pending_approval",
}


@dataclass(frozen=True, slots=True)
class Parties:
    """Who asks whom for what, as read; the revs are what the commit rechecks."""

    client: Client
    consumer: Organisation
    provider: Organisation
    offering: Offering

    def reads(self, policy: PolicyInForce) -> dict[RowKey, int]:
        """Return the rev of every row that a decision on these parties saw."""
        return {
            (CLIENTS, self.client.id): self.client.rev,
            (ORGANISATIONS, self.consumer.id): self.consumer.rev,
            (ORGANISATIONS, self.provider.id): self.provider.rev,
            (OFFERINGS, self.offering.id): self.offering.rev,
            (STATE, ACTIVE): policy.rev,
        }


def ask_once(
    decision: Decision,
    ask: Ask,
    ask_key: str,
    version: int,
    request_id: str,
    reads: Mapping[RowKey, int],
    now: int,
) -> Once:
    """Return the key under which asking again finds this answer, and until when.

    A permit stands until its grant ends (revoking frees the key), a pending request while the
    offering's version does. A denial stands for a day and only while nothing that it rests on has
    changed, so a remedy followed is a new question.
    """
    outcome = {"id": request_id}
    if decision.outcome == "permit":
        return Once(ask_key, now + decision.obligations["days"] * DAY_MS, outcome)
    if decision.outcome == "needs_approval":
        return Once(pending_key(ask_key, version), now + PENDING_MS, outcome)
    basis = [ask.days, *sorted(f"{table.name}:{row}:{rev}" for (table, row), rev in reads.items())]
    digest = hashlib.sha256(canonical.encode(basis)).hexdigest()
    return Once(f"{ask_key}:denied:{digest}", now + DAY_MS, outcome)


def pending_key(ask_key: str, version: int) -> str:
    """Return the once key of a request that waits, which it does for one version's terms."""
    return f"{ask_key}:pending:{version}"


def _salted(value: object) -> tuple[str, str]:
    """Return a random salt and SHA-256(salt || canonical JSON), both hex."""
    salt = random_bytes(16)
    return salt.hex(), hashlib.sha256(salt + canonical.encode(value)).hexdigest()


class Record:
    """One decided request on its way into the log: first its write, then its answer."""

    def __init__(
        self,
        ledger: Ledger,
        parties: Parties,
        ask: Ask,
        decision: Decision,
        document: PolicyInput,
        request_id: str,
        now: int,
    ) -> None:
        self._log_id = ledger.log_id
        self._parties, self._ask, self._decision = parties, ask, decision
        self._request_id, self._now = request_id, now
        self._decision_id = new_id("dec", self._log_id)
        self._both = {"consumer_id": parties.consumer.id, "provider_id": parties.provider.id}
        self._asked = {
            "offering_id": parties.offering.id,
            "offering_version": parties.offering.version,
            "client_id": parties.client.id,
            "purpose": ask.purpose,
            "actions": list(ask.actions),
        }
        self._grant = self._grant_row() if decision.outcome == "permit" else None
        self._result = decision.as_document()
        self._input = document
        self._input_salt, input_hash = _salted(document)
        self._result_salt, result_hash = _salted(self._result)
        self._event = self._leaf(ledger, input_hash, result_hash)

    def write(self, reads: Mapping[RowKey, int], once: Sequence[Once], ask_key: str) -> Write:
        """Return the rows and the leaf as one write.

        Whatever was decided: where a grant or a pending request of the same question stands, it
        answers, and this decision leaves nothing behind.
        """
        inserts = [
            Insert(REQUESTS, self._request_row()),
            Insert(DECISIONS, self._decision_row()),
        ]
        if self._grant is not None:
            inserts.append(Insert(GRANTS, {**self._grant, "event_id": self._event.id}))
        stands = [ask_key, pending_key(ask_key, self._parties.offering.version)]
        return Write([self._event], reads=reads, inserts=inserts, once=once, unless=stands)

    def answer(self, leaf_index: int, receipt: Receipt) -> Answer:
        """Return the answer, once the leaf stands at `leaf_index`."""
        grant = None
        if self._grant is not None:
            event = {"event_id": self._event.id, "status_index": leaf_index}
            grant = Grant(**{**self._grant, **event})
        return Answer(
            request_id=self._request_id,
            decision_id=self._decision_id,
            status=STATUS[self._decision.outcome],
            **self._both,
            client_id=self._parties.client.id,
            ask=self._ask,
            offering_version=self._parties.offering.version,
            reasons=[Said(r.code, r.params) for r in self._decision.reasons],
            remedies=[Said(r.code, r.params) for r in self._decision.remedies],
            policy_digest=self._decision.policy_digest,
            event_id=self._event.id,
            created_ms=self._now,
            grant=grant,
            receipt=receipt,
            is_new=True,
        )

    def _leaf(self, ledger: Ledger, input_hash: str, result_hash: str) -> Event:
        data: JSONObject = {
            **self._both,
            **self._asked,
            "days": self._ask.days,
            "request_id": self._request_id,
            "decision_id": self._decision_id,
            "policy_digest": self._decision.policy_digest,
            "input_hash": input_hash,
            "result_hash": result_hash,
        }
        if self._grant is not None:
            kind, subject = "grant.activated.v1", self._grant["id"]
            data["grant_id"] = subject
            data.update({n: self._grant[n] for n in ("obligations", "starts_ms", "ends_ms")})
        else:
            outcome = "denied" if self._decision.outcome == "deny" else "needs_approval"
            kind, subject = f"decision.{outcome}.v1", self._request_id
            data["reasons"] = [reason.code for reason in self._decision.reasons]
        return ledger.event(kind, subject, data, time_ms=self._now, **self._both)

    def _request_row(self) -> JSONObject:
        return {
            "log_id": self._log_id,
            "id": self._request_id,
            **self._both,
            **self._asked,
            "days": self._ask.days,
            "form": {},
            "accepted_terms": None,
            "renews": None,
            "status": STATUS[self._decision.outcome],
            "decision_id": self._decision_id,
            "grant_id": self._grant["id"] if self._grant is not None else None,
            "waits_for": None,
            "since_ms": self._now,
            "until_ms": NEVER_MS,
            "remind_ms": NEVER_MS,
            "rev": 1,
            "created_ms": self._now,
        }

    def _decision_row(self) -> JSONObject:
        return {
            "log_id": self._log_id,
            "id": self._decision_id,
            "request_id": self._request_id,
            **self._both,
            "outcome": self._decision.outcome,
            "reasons": self._result["reasons"],
            "remedies": self._result["remedies"],
            "obligations": self._result["obligations"],
            "policy_digest": self._decision.policy_digest,
            "input": self._input,
            "input_salt": self._input_salt,
            "result_salt": self._result_salt,
            "decided_ms": self._now,
            "event_id": self._event.id,
            "leaf_index": LeafIndex(),
        }

    def _grant_row(self) -> dict[str, Any]:
        obligations = dict(self._decision.obligations)
        return {
            "log_id": self._log_id,
            "id": new_id("grt", self._log_id),
            "request_id": self._request_id,
            "decision_id": self._decision_id,
            **self._both,
            **self._asked,
            "obligations": obligations,
            "ask": self._ask.key(self._parties.client.id),
            "terms_digest": None,
            "renewals": 0,
            "status": "active",
            "status_index": LeafIndex(),
            "starts_ms": self._now,
            "ends_ms": self._now + obligations["days"] * DAY_MS,
            "rev": 1,
        }
