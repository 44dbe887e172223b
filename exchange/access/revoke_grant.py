"""End a grant: revoke it for good, or write the leaf of one that the clock has ended."""

from sqlalchemy import select

from exchange.access.endings import revoking
from exchange.access.keys import revoked_key
from exchange.access.model import Grant, RevocationReason
from exchange.access.store import GRANTS, AccessStore
from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden
from exchange.formats.receipt import Receipt
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Committed, Once, Stale, Update, Write
from exchange.participants.store import acting

SWEEP = 200
LAST_MINUTE_MS = 60_000


async def revoke_grant(
    ledger: Ledger,
    store: AccessStore,
    caller: Caller,
    grant_id: str,
    reason: RevocationReason,
    text: str = "",
) -> tuple[Grant, Receipt | None]:
    """Revoke a grant for good (its platform, or the operator). Revoking again changes nothing.

    `text` is for whoever holds the grant to read, as the reason is.
    """
    grant = await store.grant_for(grant_id, caller)
    if grant.provider_id != caller.org_id and not caller.operates:
        raise Forbidden("grant_not_yours", "Only its platform or the operator may revoke a grant.")
    if not caller.stands_as("owner", "publisher", "approver"):
        raise Forbidden("member_role_missing", "Your roles allow you to see grants only.")
    if grant.status == "revoked":
        return grant, None

    async def build() -> Write:
        held = await store.grant_for(grant_id, caller)
        if held.state(now_ms()) in (
            "revoked",
            "ended",
        ):  # another revoked it meanwhile, or the clock ended it
            raise Conflict("grant_ended", "The grant has ended by itself already.")
        event, row = revoking(ledger, held, caller, reason, text, now_ms())
        update = Update(GRANTS, held.id, held.rev, {"status": "revoked"})
        # The same question may be asked anew, and is decided anew. In its last minute the grant's
        # key is left to expire: a commit that comes late must not free the key of the next grant.
        lasts = held.ends_ms - now_ms() > LAST_MINUTE_MS
        outcome = {"id": held.request_id}
        return Write(
            [event],
            reads=acting(caller),
            inserts=[row],
            updates=[update],
            forgets=[held.ask] if lasts else [],
            replaces=[Once(revoked_key(held.ask), held.ends_ms, outcome)],
        )

    try:
        _, result = await commit_fresh(ledger, build)
    except Conflict:
        held = await store.grant_for(grant_id, caller)
        if held.status == "revoked":
            return held, None
        raise
    receipt = result.receipts[0] if isinstance(result, Committed) else None
    return await store.grant_for(grant_id, caller), receipt


async def end_grants(ledger: Ledger, store: AccessStore) -> int:
    """Write the leaf of grants that the clock has ended; return how many."""
    query = (
        select(GRANTS.c.id)
        .where(
            GRANTS.c.log_id == ledger.log_id,
            GRANTS.c.status == "active",
            GRANTS.c.ends_ms <= now_ms(),
        )
        .order_by(GRANTS.c.ends_ms)
        .limit(SWEEP)
    )
    ids = await ledger.db.read(lambda c: c.execute(query).scalars().all())
    ended = 0
    for grant_id in ids:
        held = await store.grant(grant_id)
        if held is None or held.status != "active":
            continue
        event = ledger.event(
            "grant.ended.v1",
            held.id,
            {"grant_id": held.id, "ends_ms": held.ends_ms},
            consumer_id=held.consumer_id,
            provider_id=held.provider_id,
        )
        update = Update(GRANTS, held.id, held.rev, {"status": "ended"})
        try:
            await ledger.commit(Write([event], updates=[update]))
            ended += 1
        except Stale:
            continue  # another worker was quicker, or it was revoked at the last moment
    return ended
