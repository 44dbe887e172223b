"""Approve a pending request: one person's word; the grant when enough people have given theirs.

The policy is asked again with all approvals in its input, past all caches, on the terms of the
version that was asked for. What it answers is recorded with the approval, in one write.
"""

from dataclasses import dataclass, replace

from exchange.access.acts import RULES, check_pending, check_prolongs
from exchange.access.model import Answer, Grant, policy_input
from exchange.access.parties import Around
from exchange.access.record_decision import Record
from exchange.access.record_step import record_step
from exchange.access.request_access import Desk, decide, in_version, load_fresh
from exchange.access.store import REQUESTS
from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden
from exchange.formats.receipt import Receipt
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.once import PREFIX, first_outcome, idempotency
from exchange.ledger.write import Committed, Met, RowKey, Update, Write
from exchange.participants.store import MEMBERS, acting
from exchange.policy.model import Approval, Decision


@dataclass(frozen=True, slots=True)
class Done:
    """A request after an act, with the receipt of the leaf that it made, if it made one."""

    answer: Answer
    receipt: Receipt | None


async def approve_request(
    desk: Desk,
    caller: Caller,
    request_id: str,
    text: str,
    form_digest: str | None = None,
    idempotency_key: str | None = None,
) -> Done:
    """Approve as a person of the provider's; raises Forbidden, Conflict, NotFound, Unavailable.

    Approving twice counts once, and is no second leaf. `form_digest` names the form that the person
    read: another is not approved.
    """
    body = ["approve", request_id, text, form_digest]
    kept = idempotency(caller.client_id, idempotency_key, body, request_id)

    async def build() -> Write:
        held = await desk.store.held(request_id, caller)
        person = _person(caller, held)
        if any(approval["by"] == person for approval in held.approvals):
            return Write(reads=acting(caller), once=kept)
        check_pending(held, now_ms())
        if form_digest not in (None, held.ask.form_digest):
            raise Conflict(
                "form_changed",
                "The applicant changed the form since you read it.",
                hint="Read the request again; then approve it as it is now.",
            )
        write = await _approval(desk, caller, held, person, text)
        return replace(write, reads={**write.reads, **acting(caller)}, once=[*kept, *write.once])

    write, result = await commit_fresh(desk.ledger, build, kept)
    if isinstance(result, Met):
        if not result.key.startswith(PREFIX):
            raise Conflict(
                "granted_already",
                "The applicant has a grant for this already.",
                hint="Reject the request, or let the applicant withdraw it.",
            )
        first_outcome(result, body)
    answer = await desk.store.held(request_id, caller)
    last = result.receipts[-1] if isinstance(result, Committed) and write.events else None
    return Done(answer, last)


def _person(caller: Caller, held: Answer) -> str:
    """Return the member who approves: a program is nobody, and nobody approves for another."""
    if caller.org_id != held.provider_id:
        raise Forbidden("request_not_yours", "Only people of the offering's platform approve.")
    if caller.member_id is None:
        raise Forbidden(
            "person_needed",
            "Approving takes a person: a member with the role approver.",
            hint="`exchange member invite --role approver`; each acts with a key of their own.",
        )
    return caller.member_id


async def standing_approvals(desk: Desk, held: Answer) -> tuple[list[Approval], dict[RowKey, int]]:
    """Return the approvals of those who are approvers of the platform still, and their revs.

    Whoever left meanwhile, or has another role now, is not one of the people who approve.
    """
    standing: list[Approval] = []
    reads: dict[RowKey, int] = {}
    for approval in held.approvals:
        member = await desk.participants.members.get(approval["by"], fresh=True)
        if member is not None and member.status == "active" and "approver" in member.roles:
            standing.append(approval)
            reads[(MEMBERS, member.id)] = member.rev
    return standing, reads


async def _renewed(desk: Desk, held: Answer, decision: Decision, now: int) -> Grant | None:
    """Return the grant that a permit prolongs; None where it makes one.

    One that has ended while the request waited is not prolonged: a new grant takes its place. One
    that was revoked has none: that was for good.
    """
    grant = await desk.store.grant(held.renews) if held.renews is not None else None
    permits = decision.outcome == "permit"
    if grant is None or (permits and grant.state(now) == "ended"):
        return None
    if grant.state(now) == "suspended":
        raise Conflict(
            "grant_suspended", "A suspended grant is not renewed.", hint="Lift the hold."
        )
    if permits:
        check_prolongs(grant, held.offering_version, decision.obligations["days"], now)
    return grant


async def _approval(desk: Desk, caller: Caller, held: Answer, person: str, text: str) -> Write:
    now = now_ms()
    standing, members = await standing_approvals(desk, held)
    approvals: list[Approval] = [*standing, {"by": person, "at": now // 1000}]
    parties = await load_fresh(
        desk, held.client_id, held.consumer_id, held.provider_id, held.ask.offering_id
    )
    if Around(parties.consumer, parties.provider, parties.offering).is_held:
        raise Conflict(
            "held_for_now",
            "The offering, its platform or the applicant is suspended; the request waits on.",
            hint="Approve once that is lifted: GET /v1/holds?open=true says by whom it was placed.",
        )
    offering = await in_version(desk, parties.offering, held.offering_version)
    parties = replace(parties, offering=offering)  # on the terms that were asked for
    reads = {**parties.reads(desk.policy), **members}
    document = policy_input(
        now, parties.consumer, parties.provider, parties.offering, held.ask, approvals
    )
    decision = await decide(desk.policy, document)
    step = record_step(
        desk.ledger, held, RULES["approve"].kind, caller, text, now, {"approvals": len(approvals)}
    )
    if decision.outcome == "needs_approval":
        event, row = step
        update = Update(REQUESTS, held.request_id, held.rev, {"approvals": approvals})
        return Write([event], reads=reads, inserts=[row], updates=[update])
    renews = await _renewed(desk, held, decision, now)
    record = Record(
        desk.ledger, parties, held.ask, decision, document, now, renews=renews, held=held
    )
    return replace(record.settle(held, step, approvals), reads=reads)
