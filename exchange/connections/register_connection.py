"""Register a connection of a platform to its own store or service."""

import secrets

from exchange.clock import now_ms
from exchange.connections.desk import (
    ConnectionDesk,
    assert_fits,
    assert_may_change,
    checked,
    seal,
)
from exchange.connections.model import Address, Connection, Credential, Kind, origin
from exchange.connections.store import ACTIVE, CONNECTIONS, SECRETS
from exchange.connections.vault import Place
from exchange.errors import BadInput, Conflict
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Insert, Met, RowKey, Write
from exchange.participants.register_organisation import commitment
from exchange.participants.store import ORGANISATIONS, acting

MAX_CONNECTIONS = 100


async def register_connection(
    desk: ConnectionDesk,
    caller: Caller,
    kind: Kind,
    address: Address,
    credential: Credential | None,
    idempotency_key: str | None = None,
) -> Connection:
    """Register a connection of the caller's organisation, its credential sealed.

    Raises BadInput for an address that is not allowed, Conflict for one connection too many.
    """
    assert_may_change(caller)
    assert_fits(kind, credential)
    ledger, store, org_id = desk.ledger, desk.store, caller.org_id
    asked = {"kind": kind, "credential": credential and credential.kind, **address.as_document()}
    # What once keys keep of a request must not let anybody guess at the secret in it.
    digests = desk.vault.digests(credential.secret if credential else None)
    bodies = [{**asked, "secret": digest} for digest in digests]
    connection_id = new_id("con")
    once = idempotency(caller.client_id, idempotency_key, bodies[0], connection_id)
    salt = secrets.token_hex(16)

    async def build() -> Write:
        wanted = checked(desk.allow, kind, address)
        organisation = await desk.participants.organisation(org_id)
        if len(await store.list_own(org_id, None, MAX_CONNECTIONS)) >= MAX_CONNECTIONS:
            raise Conflict(
                "too_many_connections", f"A platform has at most {MAX_CONNECTIONS} connections."
            )
        now = now_ms()
        event = ledger.event(
            "connection.registered.v1",
            connection_id,
            {
                "connection_id": connection_id,
                "organisation_id": org_id,
                "kind": kind,
                "settings_commitment": commitment(salt, wanted.as_document()),
                "credential": credential and credential.kind,
                "by": caller.client_id,
            },
            provider_id=org_id,
        )
        row = {
            "id": connection_id,
            "org_id": org_id,
            "kind": kind,
            **wanted.as_document(),
            "credential": credential and credential.kind,
            "replaced_ms": now if credential else None,
            "salt": salt,
            "status": ACTIVE,
            "rev": 1,
            "created_ms": now,
            "changed_ms": now,
        }
        inserts = [Insert(CONNECTIONS, row)]
        reads: dict[RowKey, int] = {(ORGANISATIONS, org_id): organisation.rev, **acting(caller)}
        if credential is not None:
            place = Place(connection_id, org_id, origin(wanted.url))
            sealed = await seal(desk, place, credential)
            inserts.append(Insert(SECRETS, {"id": connection_id, "rev": 1, **sealed.values}))
            reads.update(sealed.reads)
        return Write([event], reads=reads, inserts=inserts, once=once)

    _, result = await commit_fresh(ledger, build, once)
    if isinstance(result, Met):
        connection_id = _first(result, bodies)
    return await store.own(org_id, connection_id)


def _first(met: Met, bodies: list[dict[str, object]]) -> str:
    """Return what the first request made, by whichever master key it was noted."""
    *others, last = bodies
    for body in others:
        try:
            return first_outcome(met, body)
        except BadInput:
            continue
    return first_outcome(met, last)
