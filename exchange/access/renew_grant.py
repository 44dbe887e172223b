"""Renew a grant before it ends: the same grant, with a later end, if the policy says yes today.

It is a request like another, on the offering's terms of today, with its form and its legal text; a
platform that approves requests approves renewals too. Nothing is renewed that was revoked, has
ended, or is suspended.
"""

from collections.abc import Mapping

from exchange.access.acts import NEVER_MS, check_prolongs
from exchange.access.keys import renewal_key
from exchange.access.model import Answer, Ask, Grant, policy_input
from exchange.access.record_decision import Record
from exchange.access.request_access import Desk, answered, apply, decide, load_fresh, until_fresh
from exchange.access.store import GRANTS
from exchange.catalog.form import Value
from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden
from exchange.http import Caller
from exchange.ledger.once import idempotency
from exchange.ledger.write import Met, Once
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
    body = ["renew", grant_id, days, dict(form), accepted_terms]

    async def walk(_fresh: bool) -> Answer:
        once = (body, idempotency_key)
        return await _walk(desk, caller, grant_id, days, form, accepted_terms, once)

    return await until_fresh(desk, caller, body, idempotency_key, walk)


async def _walk(
    desk: Desk,
    caller: Caller,
    grant_id: str,
    days: int,
    form: Mapping[str, Value],
    accepted_terms: str | None,
    once_only: tuple[object, str | None],
) -> Answer:
    grant = await desk.store.grant_for(grant_id, caller)
    now = now_ms()
    body, idempotency_key = once_only
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
        key = renewal_key(grant.id, parties.offering.version)
        once.append(Once(key, NEVER_MS, {"id": record.request_id}))
    reads = {**parties.reads(desk.policy), **acting(caller), (GRANTS, grant.id): grant.rev}
    result = await desk.ledger.commit(record.write(reads, once, grant.ask))
    if isinstance(result, Met):
        return await answered(desk, caller, ask, result, body)
    return record.answer(result.first_index, result.receipts[0])


def _check(grant: Grant, caller: Caller, days: int, now: int) -> None:
    if grant.consumer_id != caller.org_id:
        raise Forbidden("grant_not_yours", "Only whoever holds a grant may renew it.")
    state = grant.state(now)
    if state != "active":
        hint = "A hold must be lifted first." if state == "suspended" else "Ask for access anew."
        raise Conflict(f"grant_{state}", f"The grant is {state}.", hint=hint)
    check_prolongs(
        grant, grant.offering_version, days, now
    )  # a version is never newer than today's
