"""Register an OAuth client with its public keys, and disable one.

A client is a program of an organisation, or of one of its members and acts as that person.
"""

from collections.abc import Mapping
from typing import Any

from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Event, Insert, Met, Update, Write
from exchange.participants.model import PLAIN, Client, ClientStatus, Profile
from exchange.participants.store import CLIENTS, MEMBERS, ORGANISATIONS, Participants, acting

MAX_CLIENTS = 100
ENDED = ("disabled", "rejected")


async def register_client(
    ledger: Ledger,
    participants: Participants,
    caller: Caller,
    org_id: str,
    *,
    name: str,
    jwks: Mapping[str, Any],
    program: bool = False,
    profile: Profile = PLAIN,
    idempotency_key: str | None = None,
) -> Client:
    """Register a client: by the operator, or by a client of the same organisation.

    A person's is a client of that person, unless an owner asks for a program of the organisation.
    Only the operator gives one a secret, and its set of keys is then empty.
    """
    if not caller.operates and org_id != caller.org_id:
        raise Forbidden("organisation_not_yours", "You may register clients of your own only.")
    member_id = None if program or caller.operates else caller.member_id
    if member_id is None and not (caller.operates or caller.stands_as("owner")):
        raise Forbidden("member_role_missing", "Only an owner registers the organisation's own.")
    if profile.auth_method != "private_key_jwt" and not caller.operates:
        raise Forbidden(
            "secret_not_allowed",
            "Only the operator registers a client that proves itself by less.",
            hint="Use private_key_jwt, or ask the operator.",
        )
    client_id = new_id("cli")
    body: dict[str, Any] = {"org_id": org_id, "name": name, "jwks": jwks, "member_id": member_id}
    if profile != PLAIN:
        body |= {"auth_method": profile.auth_method, "dpop_bound": profile.dpop_bound}
    once = idempotency(caller.client_id, idempotency_key, body, client_id)

    async def build() -> Write:
        organisation = await participants.organisation(org_id)
        await room_for_a_client(participants, org_id)
        made = client_write(
            ledger,
            client_id,
            org_id,
            name,
            jwks,
            set_by=caller.client_id,
            member_id=member_id,
            profile=profile,
        )
        reads = {(ORGANISATIONS, org_id): organisation.rev, **acting(caller)}
        updates = []
        if member_id is not None:  # whoever removes this person meanwhile must see the new client
            member = await participants.member(member_id)
            if member.status != "active":
                raise Forbidden("member_removed", "You are no member any more.")
            updates = [Update(MEMBERS, member_id, member.rev, {})]
        return Write(made.events, reads=reads, inserts=made.inserts, updates=updates, once=once)

    _, result = await commit_fresh(ledger, build, once)
    if isinstance(result, Met):
        client_id = first_outcome(result, body)
    return await participants.client(client_id)


async def room_for_a_client(participants: Participants, org_id: str) -> None:
    """Raise Conflict when an organisation has as many clients as it may."""
    if len(await participants.list_clients(org_id)) >= MAX_CLIENTS:
        raise Conflict("too_many_clients", f"An organisation has at most {MAX_CLIENTS} clients.")


def client_write(
    ledger: Ledger,
    client_id: str,
    org_id: str,
    name: str,
    jwks: Mapping[str, Any],
    *,
    set_by: str,
    member_id: str | None = None,
    profile: Profile = PLAIN,
    status: ClientStatus = "active",
    invitation_id: str | None = None,
) -> Write:
    """Return the write that makes a client; its leaf names the keys by their ids."""
    data: dict[str, Any] = {
        "client_id": client_id,
        "organisation_id": org_id,
        "key_ids": [key["kid"] for key in jwks["keys"]],
        "by": set_by,
    }
    if profile != PLAIN or status != "active" or invitation_id is not None:
        data |= {"member_id": member_id, "auth_method": profile.auth_method}
        data |= {"dpop_bound": profile.dpop_bound, "status": status}
        data["invitation_id"] = invitation_id
        event = ledger.event(
            "client.registered.v3", member_id or client_id, data, consumer_id=org_id
        )
    elif member_id is None:
        event = ledger.event("client.registered.v1", client_id, data, consumer_id=org_id)
    else:  # other workers drop what they hold of its subject, and the member's row changes with it
        data["member_id"] = member_id
        event = ledger.event("client.registered.v2", member_id, data, consumer_id=org_id)
    row = {
        "id": client_id,
        "org_id": org_id,
        "name": name,
        "jwks": dict(jwks),
        "status": status,
        "rev": 1,
        "created_ms": now_ms(),
        "member_id": member_id,
        "auth_method": profile.auth_method,
        "dpop_bound": profile.dpop_bound,
        "secret_hash": profile.secret_hash,
    }
    return Write([event], inserts=[Insert(CLIENTS, row)])


async def disable_client(
    ledger: Ledger, participants: Participants, caller: Caller, client_id: str
) -> Client:
    """Disable a client for good: its tokens stop working at once, its grants deliver no more.

    A person who is no owner disables their own only.
    """
    client = await participants.client(client_id)
    if not caller.operates and client.org_id != caller.org_id:
        raise Forbidden("organisation_not_yours", "You may disable clients of your own only.")
    own = caller.member_id is not None and caller.member_id == client.member_id
    if not (caller.operates or own or caller.stands_as("owner")):
        raise Forbidden("member_role_missing", "Only an owner disables clients of others.")

    async def build() -> Write:
        current = await participants.client(client_id)
        if current.status in ENDED:  # disabling again changes nothing, and is no leaf
            return Write(reads={(CLIENTS, client_id): current.rev})
        event = disabled(ledger, current, by=caller.client_id)
        update = Update(CLIENTS, client_id, current.rev, {"status": "disabled"})
        return Write([event], reads=acting(caller), updates=[update])

    await commit_fresh(ledger, build)
    return await participants.client(client_id)


def disabled(ledger: Ledger, client: Client, *, by: str) -> Event:
    """Return the leaf of an active client that is disabled."""
    return ledger.event(
        "client.disabled.v1",
        client.id,
        {"client_id": client.id, "organisation_id": client.org_id, "by": by},
        consumer_id=client.org_id,
    )
