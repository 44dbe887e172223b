"""Approve or reject a client that was registered by an invitation and waits (operator)."""

from exchange.errors import Conflict, Forbidden
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Update, Write
from exchange.participants.model import Client
from exchange.participants.store import CLIENTS, Participants, acting


async def decide_client(
    ledger: Ledger, participants: Participants, caller: Caller, client_id: str, *, approve: bool
) -> Client:
    """Let a client that waits get tokens, or see to it that it never does; either for good.

    Deciding the same again changes nothing. Nothing of a client changes while it waits, so what was
    read is what is approved.
    """
    if not caller.operates or "operate" not in caller.scopes:
        raise Forbidden("role_missing", "Only the operator approves clients.")
    outcome = "active" if approve else "rejected"

    async def build() -> Write:
        current = await participants.client(client_id)
        if current.status == outcome:
            return Write(reads={(CLIENTS, client_id): current.rev})
        if current.status != "pending":
            raise Conflict(
                "client_not_pending",
                f"This client is {current.status}: there is nothing to approve or reject.",
                hint="Disable a client that should get no more tokens."
                if current.status == "active"
                else "It stays so: register another.",
            )
        kind = "client.approved.v1" if approve else "client.rejected.v1"
        data = {
            "client_id": client_id,
            "organisation_id": current.org_id,
            "by": caller.client_id,
        }
        event = ledger.event(kind, client_id, data, consumer_id=current.org_id)
        update = Update(CLIENTS, client_id, current.rev, {"status": outcome})
        return Write([event], reads=acting(caller), updates=[update])

    await commit_fresh(ledger, build)
    return await participants.client(client_id)
