"""What a decided request leaves behind: rows, one leaf, and keys by which it answers again."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from exchange.access.acts import Next, settled, waiting
from exchange.access.keys import (
    pending_key,
    refused_key,
    renewal_key,
    revoked_key,
    waits_under,
)
from exchange.access.model import Answer, Ask, Grant, RequestStatus, Said
from exchange.access.parties import Parties
from exchange.access.record_step import moved
from exchange.access.store import DECISIONS, GRANTS, REQUESTS
from exchange.catalog.form import Value
from exchange.chance import random_bytes
from exchange.clock import DAY_MS
from exchange.formats import canonical
from exchange.formats.receipt import Receipt
from exchange.ids import new_id
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import (
    Event,
    Insert,
    JSONObject,
    LeafIndex,
    Once,
    RowKey,
    Update,
    Vacant,
    Write,
)
from exchange.participants.register_organisation import commitment
from exchange.policy.model import Decision, PolicyInput

STATUS: Mapping[str, RequestStatus] = {
    "permit": "permitted",
    "deny": "denied",
    "needs_approval": "pending_approval",
}


def salted_form(values: Mapping[str, Value]) -> dict[str, Any]:
    """Return a filled-in form as it is stored, with the salt that opens its leaf's commitment."""
    return {"salt": secrets.token_hex(16), "values": dict(values)} if values else {}


def form_commitment(form: Mapping[str, Any]) -> str | None:
    """Return what a leaf says of a form as it is stored; None where nothing was filled in."""
    return commitment(form["salt"], form["values"]) if form else None


def salted(value: object) -> tuple[str, str]:
    """Return a random salt and SHA-256(salt || canonical JSON), both hex."""
    salt = random_bytes(16)
    return salt.hex(), hashlib.sha256(salt + canonical.encode(value)).hexdigest()


class Record:
    """One decided request on its way into the log: first its write, then its answer.

    `renews` is the grant that a permit prolongs, in place of making one. `held` is the request that
    was decided anew, in place of making one.
    """

    def __init__(
        self,
        ledger: Ledger,
        parties: Parties,
        ask: Ask,
        decision: Decision,
        document: PolicyInput,
        now: int,
        *,
        renews: Grant | None = None,
        held: Answer | None = None,
    ) -> None:
        self._log_id = ledger.log_id
        self._parties, self._ask, self._decision = parties, ask, decision
        self._now, self._renews, self._held = now, renews, held
        self.request_id = held.request_id if held is not None else new_id("req", self._log_id)
        self._decision_id = new_id("dec", self._log_id)
        self._both = {"consumer_id": parties.consumer.id, "provider_id": parties.provider.id}
        self._asked = {
            "offering_id": parties.offering.id,
            "offering_version": parties.offering.version,
            "client_id": parties.client.id,
            "purpose": ask.purpose,
            "actions": list(ask.actions),
        }
        # Decided anew, the leaf comes after that of the step which led to it.
        self._place = LeafIndex(0 if held is None else 1)
        self._input = document
        self._granted = self._grant_values() if decision.outcome == "permit" else None
        self._form = salted_form(ask.form) if held is None else {}
        self._result = decision.as_document()
        self._input_salt, input_hash = salted(document)
        self._result_salt, result_hash = salted(self._result)
        self._event = self._leaf(ledger, input_hash, result_hash)
        self.state = self._state()

    def write(
        self,
        reads: Mapping[RowKey, int],
        once: Sequence[Once],
        ask_key: str,
        *,
        polls: bool = False,
    ) -> Write:
        """Return the rows and the leaf of a new request as one write.

        Whatever was decided: where a grant or a pending request of the same question stands, it
        answers, and this decision leaves nothing behind. For a program that `polls` so does a
        refusal by people; whoever else asks puts an end to that.
        """
        version, refused = self._parties.offering.version, []
        if self._renews is None:
            refused = [refused_key(ask_key, version), revoked_key(ask_key)]
            stands = [ask_key, pending_key(ask_key, version), *(refused if polls else ())]
        else:
            stands = [renewal_key(self._renews.id, version)]
        return Write(
            [self._event],
            reads=reads,
            inserts=[Insert(REQUESTS, self._request_row()), *self._inserts()],
            updates=self._prolonged(),
            once=once,
            unless=stands,
            forgets=refused,
            replaces=self._prolonged_key(),
        )

    def settle(self, held: Answer, step: tuple[Event, Insert], approvals: Sequence[Any]) -> Write:
        """Return what deciding a pending request anew changes: its step's leaf, then its own."""
        event, row = step
        status: RequestStatus = "approved" if self._granted is not None else self.state.status
        more = {
            "decision_id": self._decision_id,
            "approvals": list(approvals),
            "grant_id": self._grant_id(),
        }
        once: list[Once] = []
        if self._granted is not None and self._renews is None:
            key = self._granted["ask"]
            once = [Once(key, self._granted["ends_ms"], {"id": self.request_id})]
        return Write(
            [event, self._event],
            inserts=[row, *self._inserts()],
            updates=[moved(held, settled(status, self._now), **more), *self._prolonged()],
            once=once,
            forgets=[waits_under(held)],
            replaces=self._prolonged_key(),
        )

    def answer(self, leaf_index: int, receipt: Receipt) -> Answer:
        """Return a new request's answer, once the leaf stands at `leaf_index`."""
        return Answer(
            request_id=self.request_id,
            decision_id=self._decision_id,
            status=self.state.status,
            consumer_id=self._parties.consumer.id,
            provider_id=self._parties.provider.id,
            client_id=self._parties.client.id,
            ask=self._ask,
            offering_version=self._parties.offering.version,
            reasons=[Said(r.code, r.params) for r in self._decision.reasons],
            remedies=[Said(r.code, r.params) for r in self._decision.remedies],
            policy_digest=self._decision.policy_digest,
            event_id=self._event.id,
            created_ms=self._now,
            grant=self._grant(leaf_index),
            receipt=receipt,
            renews=self._renews.id if self._renews is not None else None,
            waits_for=self.state.waits_for,
            since_ms=self.state.since_ms,
            until_ms=self.state.until_ms,
            is_new=True,
        )

    def _state(self) -> Next:
        if self._decision.outcome == "needs_approval":
            return waiting("provider", self._now, self._parties.offering.terms.answer_days)
        return settled(STATUS[self._decision.outcome], self._now)

    def _grant_id(self) -> str | None:
        if self._renews is not None:
            return self._renews.id
        return self._granted["id"] if self._granted is not None else None

    def _grant(self, leaf_index: int) -> Grant | None:
        if self._renews is not None:
            changed = {**(self._granted or {})}
            rev = self._renews.rev + (1 if changed else 0)
            return Grant(**{**_values(self._renews), **changed, "rev": rev})
        if self._granted is None:
            return None
        known = {
            "event_id": self._event.id,
            "leaf_index": leaf_index,
            "status_index": self._granted["status_index"].value,
        }
        return Grant(**{**self._granted, **known})

    def _leaf(self, ledger: Ledger, input_hash: str, result_hash: str) -> Event:
        data: JSONObject = {
            **self._both,
            **self._asked,
            "days": self._ask.days,
            "request_id": self.request_id,
            "decision_id": self._decision_id,
            "policy_digest": self._decision.policy_digest,
            "input_hash": input_hash,
            "result_hash": result_hash,
            "accepted_terms": self._ask.accepted_terms,
            "form_commitment": form_commitment(self._form),
        }
        if self._granted is None:
            outcome = "denied" if self._decision.outcome == "deny" else "needs_approval"
            kind, subject = f"decision.{outcome}.v1", self.request_id
            data["reasons"] = [reason.code for reason in self._decision.reasons]
            data["renews"] = self._renews.id if self._renews is not None else None
        elif self._renews is not None:
            kind, subject = "grant.renewed.v1", self._renews.id
            data["renews"] = subject
            data["ended_ms"] = self._renews.ends_ms
            data.update({n: self._granted[n] for n in ("obligations", "ends_ms")})
        else:
            kind, subject = "grant.activated.v1", self._granted["id"]
            data["grant_id"] = subject
            data.update({n: self._granted[n] for n in ("obligations", "starts_ms", "ends_ms")})
        return ledger.event(kind, subject, data, time_ms=self._now, **self._both)

    def _inserts(self) -> list[Insert]:
        inserts = [Insert(DECISIONS, self._decision_row())]
        if self._granted is not None and self._renews is None:
            inserts.append(Insert(GRANTS, {**self._granted, "event_id": self._event.id}))
        return inserts

    def _prolonged(self) -> list[Update]:
        if self._renews is None or self._granted is None:
            return []
        return [Update(GRANTS, self._renews.id, self._renews.rev, self._granted)]

    def _prolonged_key(self) -> list[Once]:
        """Asking the same again finds the renewed grant for as long as it lasts now."""
        if self._renews is None or self._granted is None:
            return []
        outcome = {"id": self._renews.request_id}
        return [Once(self._renews.ask, self._granted["ends_ms"], outcome)]

    def _request_row(self) -> JSONObject:
        return {
            "log_id": self._log_id,
            "id": self.request_id,
            **self._both,
            **self._asked,
            "days": self._ask.days,
            "form": self._form,
            "accepted_terms": self._ask.accepted_terms,
            "renews": self._renews.id if self._renews is not None else None,
            **self.state.values(),
            "decision_id": self._decision_id,
            "approvals": [],
            "grant_id": self._grant_id(),
            "rev": 1,
            "created_ms": self._now,
        }

    def _decision_row(self) -> JSONObject:
        return {
            "log_id": self._log_id,
            "id": self._decision_id,
            "request_id": self.request_id,
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
            "leaf_index": self._place,
        }

    def _grant_values(self) -> dict[str, Any]:
        """Return the row of a new grant, or what a renewal changes in the one that there is."""
        obligations = dict(self._decision.obligations)
        ends_ms = self._now + obligations["days"] * DAY_MS
        terms = {
            "obligations": obligations,
            "terms_digest": self._ask.accepted_terms,
            "approvals": list(self._input["approvals"]),
        }
        if self._renews is not None:
            version = self._parties.offering.version
            count = self._renews.renewals + 1
            return {
                **terms,
                **self._allowance(self._renews, count, ends_ms),
                "offering_version": version,
                "renewals": count,
                "ends_ms": ends_ms,
            }
        return {
            "log_id": self._log_id,
            "id": new_id("grt", self._log_id),
            "request_id": self.request_id,
            "decision_id": self._decision_id,
            **self._both,
            **self._asked,
            **terms,
            "ask": self._ask.key(self._parties.client.id),
            "renewals": 0,
            "allowance": 0,
            "allowance_until_ms": ends_ms,
            "status": "active",
            "leaf_index": self._place,
            "status_index": Vacant(("log_id", "provider_id")),
            "starts_ms": self._now,
            "ends_ms": ends_ms,
            "rev": 1,
        }

    def _allowance(self, grant: Grant, count: int, ends_ms: int) -> dict[str, int]:
        """Return the allowance of a renewed grant: a new one at once only where people approved.

        Else the present one is held to until its period is over; then the renewal's own begins.
        """
        if self._input["approvals"]:
            return {"allowance": count, "allowance_until_ms": ends_ms}
        if self._now < grant.allowance_until_ms:
            return {}
        return {"allowance": grant.renewals, "allowance_until_ms": grant.ends_ms}


def _values(grant: Grant) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in Grant.__dataclass_fields__}
