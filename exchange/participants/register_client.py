"""Register an OAuth client with its public keys, and disable one."""

from collections.abc import Mapping
from typing import Any

from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Insert, Met, Update, Write
from exchange.participants.model import Client
from exchange.participants.store import CLIENTS, ORGANISATIONS, Participants, acting

MAX_CLIENTS = 100


async def register_client(
    ledger: Ledger,
    participants: Participants,
    caller: Caller,
    org_id: str,
    *,
    name: str,
    jwks: Mapping[str, Any],
    idempotency_key: str | None = None,
) -> Client:
    """Register a client: by the operator, or by a client of the same organisation."""
    if not caller.may("operator") and org_id != caller.org_id:
        raise Forbidden("organisation_not_yours", "You may register clients of your own only.")
    client_id = new_id("cli")
    body = {"org_id": org_id, "name": name, "jwks": jwks}
    once = idempotency(caller.client_id, idempotency_key, body, client_id)

    async def build() -> Write:
        organisation = await participants.organisation(org_id)
        if len(await participants.list_clients(org_id)) >= MAX_CLIENTS:
            raise Conflict(
                "too_many_clients", f"An organisation has at most {MAX_CLIENTS} clients."
            )
        made = client_write(ledger, client_id, org_id, name, jwks, set_by=caller.client_id)
        reads = {(ORGANISATIONS, org_id): organisation.rev, **acting(caller)}
        return Write(made.events, reads=reads, inserts=made.inserts, once=once)

    _, result = await commit_fresh(ledger, build)
    if isinstance(result, Met):
        client_id = first_outcome(result, body)
    return await participants.client(client_id)


def client_write(
    ledger: Ledger,
    client_id: str,
    org_id: str,
    name: str,
    jwks: Mapping[str, Any],
    *,
    set_by: str,
) -> Write:
    """Return the write that makes a client; its leaf names the keys by their ids."""
    event = ledger.event(
        "client.registered.v1",
        client_id,
        {
            "client_id": client_id,
            "organisation_id": org_id,
            "key_ids": [key["kid"] for key in jwks["keys"]],
            "by": set_by,
        },
        consumer_id=org_id,
    )
    row = {
        "id": client_id,
        "org_id": org_id,
        "name": name,
        "jwks": dict(jwks),
        "status": "active",
        "rev": 1,
        "created_ms": now_ms(),
    }
    return Write([event], inserts=[Insert(CLIENTS, row)])


async def disable_client(
    ledger: Ledger, participants: Participants, caller: Caller, client_id: str
) -> Client:
    """Disable a client for good: its tokens stop working at once, its grants deliver no more."""
    client = await participants.client(client_id)
    if not caller.may("operator") and client.org_id != caller.org_id:
        raise Forbidden("organisation_not_yours", "You may disable clients of your own only.")

    async def build() -> Write:
        current = await participants.client(client_id)
        if current.status == "disabled":  # disabling again changes nothing, and is no leaf
            return Write(reads={(CLIENTS, client_id): current.rev})
        event = ledger.event(
            "client.disabled.v1",
            client_id,
            {"client_id": client_id, "organisation_id": client.org_id, "by": caller.client_id},
            consumer_id=client.org_id,
        )
        disabled = Update(CLIENTS, client_id, current.rev, {"status": "disabled"})
        return Write([event], reads=acting(caller), updates=[disabled])

    await commit_fresh(ledger, build)
    return await participants.client(client_id)
