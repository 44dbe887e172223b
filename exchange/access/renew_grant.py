"""Renew a grant before it ends: the same grant, with a later end, if the policy says yes today.

It is a request like another, on the offering's terms of today, with its form and its legal text; a
platform that approves requests approves renewals too. Nothing is renewed that was revoked, has
ended, or is suspended.
"""

from collections.abc import Mapping

from exchange.access.acts import NEVER_MS
from exchange.access.keys import renewal_key
from exchange.access.model import Answer, Ask, Grant, policy_input
from exchange.access.record_decision import Record
from exchange.access.request_access import WALKS, Desk, answered_by, apply, decide, load_fresh
from exchange.access.store import GRANTS
from exchange.catalog.form import Value
from exchange.clock import DAY_MS, now_ms
from exchange.errors import Conflict, Forbidden, Unavailable
from exchange.http import Caller
from exchange.ledger.once import idempotency
from exchange.ledger.write import Met, Once, Stale
from exchange.participants.store import acting


async def renew_grant(
    desk: Desk,
    caller: Caller,
    grant_id: str,
    days: int,
    form: Mapping[str, Value],
    accepted_terms: str | None,
    idempotency_key: str | None = None,
) -> Answer:
    """Ask that a grant lasts `days` from now; a denial is an Answer, not an error.

    Raises NotFound, Forbidden, Conflict, BadInput, Unavailable.
    """
    for _ in range(WALKS):
        try:
            return await _walk(desk, caller, grant_id, days, form, accepted_terms, idempotency_key)
        except Stale:
            continue
    raise Unavailable("decision_stale", "What this rests on kept changing.", hint="Try again.")


async def _walk(
    desk: Desk,
    caller: Caller,
    grant_id: str,
    days: int,
    form: Mapping[str, Value],
    accepted_terms: str | None,
    idempotency_key: str | None,
) -> Answer:
    grant = await desk.store.grant_for(grant_id, caller)
    now = now_ms()
    body = ["renew", grant_id, days, dict(form), accepted_terms]
    known = await desk.store.met(
        [each.key for each in idempotency(caller.client_id, idempotency_key, body, "")], now
    )
    if known is not None:  # what was done is answered alike, whatever has become of it
        return await desk.store.answer(answered_by(known, body), caller)
    _check(grant, caller, days, now)
    parties = await load_fresh(
        desk, grant.client_id, grant.consumer_id, grant.provider_id, grant.offering_id
    )
    if not parties.offering.is_shown_to(grant.consumer_id):  # a renewal is of today's version
        raise Conflict(
            "renewal_closed",
            "The offering is no longer shown to you: the grant goes on until it ends, unrenewed.",
            hint="Ask the platform to show it to your organisation.",
        )
    asked = Ask(grant.offering_id, grant.purpose, tuple(grant.actions), days, form, accepted_terms)
    ask = apply(parties.offering, asked, fresh=True)
    document = policy_input(now, parties.consumer, parties.provider, parties.offering, ask)
    decision = await decide(desk.policy, document)
    record = Record(desk.ledger, parties, ask, decision, document, now, renews=grant)
    once = [*idempotency(caller.client_id, idempotency_key, body, record.request_id)]
    if decision.outcome == "needs_approval":
        once.append(Once(renewal_key(grant.id), NEVER_MS, {"id": record.request_id}))
    reads = {**parties.reads(desk.policy), **acting(caller), (GRANTS, grant.id): grant.rev}
    result = await desk.ledger.commit(record.write(reads, once, grant.ask))
    if isinstance(result, Met):
        return await desk.store.answer(answered_by(result, body), caller)
    return record.answer(result.first_index, result.receipts[0])


def _check(grant: Grant, caller: Caller, days: int, now: int) -> None:
    if grant.consumer_id != caller.org_id:
        raise Forbidden("grant_not_yours", "Only whoever holds a grant may renew it.")
    state = grant.state(now)
    if state != "active":
        hint = "A hold must be lifted first." if state == "suspended" else "Ask for access anew."
        raise Conflict(f"grant_{state}", f"The grant is {state}.", hint=hint)
    if now + days * DAY_MS <= grant.ends_ms:
        raise Conflict(
            "renewal_shortens",
            f"The grant lasts longer than {days} days from now as it is.",
            hint="Days count from now: ask for more, or later.",
        )
