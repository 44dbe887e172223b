"""The critical path: a request, its decision, and the grant, in one walk.

    1. who asks, for what: client, consumer, offering, provider, each with its rev; the offering's
       form filled in, its terms accepted
    2. the input document: everything that the policy may know
    3. the decision: asked once; no trustworthy answer means no
    4. obligations: one that connectors do not know means no
    5. the write: request, decision, grant and leaf, with every rev that the decision saw
    6. the commit, under the log's lock: asked before? the same grant or pending request answers;
       a rev that has changed? the walk starts again, past all caches
    7. the answer, with its receipt

"No stale yes": what the decision read may come from caches, since step 6 rechecks it. Three stale
walks and the answer is 503.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from exchange.access.acts import PENDING
from exchange.access.keys import ask_once
from exchange.access.model import Answer, Ask, policy_input
from exchange.access.parties import Parties
from exchange.access.record_decision import Record
from exchange.access.store import AccessStore
from exchange.catalog.form import check_form
from exchange.catalog.model import Offering
from exchange.catalog.store import Catalog, unknown_offering
from exchange.clock import now_ms
from exchange.errors import BadInput, Conflict, ExchangeError, Forbidden, Unavailable
from exchange.http import Caller
from exchange.ledger.ledger import Ledger
from exchange.ledger.once import PREFIX, first_outcome, idempotency
from exchange.ledger.write import Committed, Met, Once, RowKey, Stale
from exchange.participants.store import Participants, acting
from exchange.policy.activate import PolicyInForce
from exchange.policy.model import (
    KNOWN_OBLIGATIONS,
    Decision,
    PolicyError,
    PolicyInput,
    PolicyRefusedInput,
)

WALKS = 3


@dataclass(frozen=True, slots=True)
class Desk:
    """What a walk needs: the parts to the right of access."""

    ledger: Ledger
    participants: Participants
    catalog: Catalog
    policy: PolicyInForce
    store: AccessStore


async def request_access(
    desk: Desk, caller: Caller, ask: Ask, idempotency_key: str | None = None
) -> Answer:
    """Decide a request and record what was decided; a permit comes with its grant.

    Raises NotFound, Forbidden, Unavailable. A denial is an Answer, not an error.
    """
    body = ask.as_document()

    async def walk(fresh: bool) -> Answer:
        return await _walk(desk, caller, ask, body, idempotency_key, fresh=fresh)

    return await until_fresh(desk, caller, body, idempotency_key, walk)


async def until_fresh(
    desk: Desk,
    caller: Caller,
    body: object,
    idempotency_key: str | None,
    walk: Callable[[bool], Awaitable[Answer]],
) -> Answer:
    """Walk until nothing that was read has changed meanwhile, past all caches from the second time.

    A refusal gives way to what the same key did before, as in `commit_fresh`.
    """
    for turn in range(WALKS):
        try:
            return await walk(turn > 0)
        except Stale:
            continue
        except ExchangeError:
            keys = [each.key for each in idempotency(caller.client_id, idempotency_key, body, "")]
            known = await desk.ledger.met(keys, now_ms())
            if known is None:
                raise
            return await desk.store.answer(first_outcome(known, body), caller)
    raise Unavailable(
        "decision_stale",
        "What this decision rests on kept changing, or this worker's policies are not in force.",
        hint="Nothing was granted; try again.",
    )


async def _walk(
    desk: Desk,
    caller: Caller,
    ask: Ask,
    body: object,
    idempotency_key: str | None,
    *,
    fresh: bool,
) -> Answer:
    def once(request_id: str) -> Sequence[Once]:
        return idempotency(caller.client_id, idempotency_key, body, request_id)

    walked = await take_walk(desk, caller, ask, once, fresh=fresh)

    # 7. the answer
    if isinstance(walked.result, Met):
        return await answered(desk, caller, walked.ask, walked.result, body)
    return walked.record.answer(walked.result.first_index, walked.result.receipts[0])


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk came to; where a once key was met, nothing was written."""

    ask: Ask
    parties: Parties
    record: Record
    result: Committed | Met


async def take_walk(
    desk: Desk,
    caller: Caller,
    ask: Ask,
    once: Callable[[str], Sequence[Once]],
    reads: Mapping[RowKey, int] | None = None,
    *,
    fresh: bool,
    polls: bool = False,
    kind: str | None = None,
) -> Walked:
    """Take steps 1 to 6, with the once keys of a new request's id, and more rows to recheck.

    `kind` is what the offering has to be, if that was said. Raises Stale where something that was
    read has changed, and all that `request_access` raises.
    """
    # 1. who asks, for what
    parties = await load_parties(desk, caller, ask.offering_id, fresh=fresh)
    if kind not in (None, parties.offering.terms.kind):
        raise BadInput("kind_wrong", f"The offering is no {kind}.", status=422)
    ask = apply(parties.offering, ask, fresh=fresh)

    # 2. the input document
    now = now_ms()
    document = policy_input(now, parties.consumer, parties.provider, parties.offering, ask)

    # 3. the decision; 4. its obligations
    decision = await decide(desk.policy, document)

    # 5. the write
    record = Record(desk.ledger, parties, ask, decision, document, now)
    basis, request_id = parties.reads(desk.policy), record.request_id
    ask_key, version = ask.key(caller.client_id), parties.offering.version
    keys = [
        *once(request_id),
        ask_once(decision, ask, ask_key, version, request_id, basis, now),
    ]
    seen = {**basis, **acting(caller), **(reads or {})}

    # 6. the commit
    result = await desk.ledger.commit(record.write(seen, keys, ask_key, polls=polls))
    return Walked(ask, parties, record, result)


def apply(offering: Offering, ask: Ask, *, fresh: bool) -> Ask:
    """Check the form and the accepted terms against the offering's; raises BadInput or Conflict.

    An offering out of a cache may be yesterday's: what it refuses is looked at anew.
    """
    try:
        form = check_form(offering.terms.form, ask.form)
        check_terms(offering.terms.terms_digest, ask.accepted_terms)
    except ExchangeError:
        if not fresh:
            raise Stale([]) from None
        raise
    return replace(ask, form=form)


def check_terms(digest: str | None, accepted: str | None) -> None:
    """Demand that the applicant accepts the very text that the offering's version has."""
    if accepted == digest:
        return
    if digest is None:
        raise BadInput(
            "terms_unknown",
            "The offering has no terms to accept.",
            status=422,
            hint="Leave it out.",
        )
    raise Conflict(
        "terms_not_accepted" if accepted is None else "terms_changed",
        "The offering's terms must be accepted, in the version that stands now.",
        hint="Read terms_en or terms_zh of the offering; send its terms_digest as accepted_terms.",
        members={"terms_digest": digest},
    )


async def answered(desk: Desk, caller: Caller, ask: Ask, met: Met, body: object) -> Answer:
    """Return the request that a met once key stands for, with its receipt.

    Raises BadInput for a reused Idempotency-Key, and what `asked_before` raises.
    """
    if met.key.startswith(PREFIX):
        return await desk.store.answer(first_outcome(met, body), caller)
    return await desk.store.with_receipt(await asked_before(desk, caller, ask, met))


async def asked_before(desk: Desk, caller: Caller, ask: Ask, met: Met) -> Answer:
    """Return the request that was found standing for the same ask.

    Raises Conflict where it is another that waits: for other days, or with another form.
    """
    stands = await desk.store.held(str((met.outcome or {})["id"]), caller)
    names = ("days", "form", "accepted_terms")
    differs = [name for name in names if getattr(stands.ask, name) != getattr(ask, name)]
    if stands.status == PENDING and differs:
        raise Conflict(
            "asked_already",
            f"{stands.request_id} asks for this already and waits; others: {', '.join(differs)}.",
            hint="Withdraw it to ask anew; where the platform has asked back, answer it instead.",
            members={"access_request_id": stands.request_id, "differs": differs},
        )
    return stands


async def load_parties(desk: Desk, caller: Caller, offering_id: str, *, fresh: bool) -> Parties:
    """Load who asks whom for what; what the caller may not see does not exist."""
    people = desk.participants
    client = await people.clients.get(caller.client_id, fresh=fresh)
    consumer = await people.organisations.get(caller.org_id, fresh=fresh)
    offering = await desk.catalog.offerings.get(offering_id, fresh=fresh)
    if offering is None or not offering.is_shown_to(caller.org_id):
        raise unknown_offering()
    provider = await people.organisations.get(offering.provider_id, fresh=fresh)
    if client is None or client.status != "active" or consumer is None or provider is None:
        raise Forbidden("client_disabled", "This client may not ask any more.")
    return Parties(client, consumer, provider, offering)


async def load_fresh(
    desk: Desk, client_id: str, consumer_id: str, provider_id: str, offering_id: str
) -> Parties:
    """Load the parties as they are now, past all caches; raises NotFound, Conflict."""
    people = desk.participants
    client = await people.client(client_id)
    if client.status != "active":
        raise Conflict(
            "client_disabled",
            "The applicant's client is disabled: a request and its grant are that client's alone.",
            hint="Another client of the organisation asks anew.",
        )
    return Parties(
        client,
        await people.organisation(consumer_id),
        await people.organisation(provider_id),
        await desk.catalog.offering(offering_id),
    )


async def in_version(desk: Desk, offering: Offering, version: int) -> Offering:
    """Return an offering with the terms and files of one of its published versions."""
    return await desk.catalog.in_version(offering, version)


async def decide(policy: PolicyInForce, document: PolicyInput) -> Decision:
    """Ask the policy once; no trustworthy answer, or an unknown obligation, is no permit."""
    try:
        decision = await policy.engine.decide(document)
    except PolicyRefusedInput as error:
        raise Unavailable(
            "policy_input_refused", "The policy does not accept this request as it stands."
        ) from error
    except PolicyError as error:
        raise Unavailable(
            "policy_unavailable",
            "The policy engine gives no answer, so nothing is granted.",
            hint="Try again; the operator sees why in the log.",
        ) from error
    known = KNOWN_OBLIGATIONS.issuperset(decision.obligations)
    if not known or (decision.outcome == "permit" and "days" not in decision.obligations):
        raise Unavailable(
            "obligation_unknown", "The policy asks for something that no connector can do."
        )
    return decision
