"""Change where a connection leads, replace its credential, or remove it."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exchange.clock import now_ms
from exchange.connections.desk import ConnectionDesk, assert_fits, assert_may_change, checked, seal
from exchange.connections.model import Address, Connection, Credential, origin
from exchange.connections.store import CONNECTIONS, SECRETS, Sealed
from exchange.connections.vault import Place
from exchange.errors import BadInput, Conflict, NotFound
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.write import Delete, Event, Insert, Update, Write
from exchange.participants.register_organisation import commitment
from exchange.participants.store import acting

NAMED = 5  # offerings that a refusal names


async def change_connection(
    desk: ConnectionDesk,
    caller: Caller,
    connection_id: str,
    address: Address,
    credential: Credential | None = None,
) -> Connection:
    """Change name, address and settings; with a credential, that too.

    A credential goes to the origin that it was given for, and to no other: whoever may change the
    address could have it sent to a server of their own. Raises BadInput where it must come along.
    """
    assert_may_change(caller)
    salt = secrets.token_hex(16)

    async def build() -> Write:
        current, held = await _own(desk, caller, connection_id)
        wanted = checked(desk.allow, current.kind, address)
        if credential is not None:
            assert_fits(current.kind, credential)
        elif current.credential is not None and origin(wanted.url) != origin(current.url):
            raise BadInput(
                "credential_needed",
                "The connection leads to another host now: give the credential for it too.",
                status=422,
                hint="A stored credential is sent to the host that it was given for, no other.",
            )
        event = desk.ledger.event(
            "connection.changed.v1",
            connection_id,
            {
                "connection_id": connection_id,
                "organisation_id": current.org_id,
                "settings_commitment": commitment(salt, wanted.as_document()),
                "by": caller.client_id,
            },
            provider_id=current.org_id,
        )
        values = {**wanted.as_document(), "salt": salt, "changed_ms": now_ms()}
        changed = replace(current, url=wanted.url)
        if credential is None:
            update = Update(CONNECTIONS, connection_id, current.rev, values)
            return Write([event], reads=acting(caller), updates=[update])
        return await _with_credential(desk, caller, changed, held, credential, [event], values)

    await commit_fresh(desk.ledger, build)
    return await desk.store.own(caller.org_id, connection_id)


async def replace_credential(
    desk: ConnectionDesk, caller: Caller, connection_id: str, credential: Credential | None
) -> Connection:
    """Replace what lets one in: the new one is used from the next request on. None: nothing does.

    Raises BadInput for one that does not fit the connection's kind.
    """
    assert_may_change(caller)

    async def build() -> Write:
        current, held = await _own(desk, caller, connection_id)
        assert_fits(current.kind, credential)
        now = {"changed_ms": now_ms()}
        if credential is not None:
            return await _with_credential(desk, caller, current, held, credential, [], now)
        reads = acting(caller)
        if held is not None:
            reads[(SECRETS, connection_id)] = held.rev
        gone = {"credential": None, "replaced_ms": None, **now}
        return Write(
            [_replaced(desk, caller, current, None)],
            reads=reads,
            updates=[Update(CONNECTIONS, connection_id, current.rev, gone)],
            deletes=[Delete(SECRETS, {"id": connection_id})],
        )

    await commit_fresh(desk.ledger, build)
    return await desk.store.own(caller.org_id, connection_id)


async def remove_connection(desk: ConnectionDesk, caller: Caller, connection_id: str) -> None:
    """Remove a connection for good, its credential with it.

    Raises Conflict while a published offering is served by it.
    """
    assert_may_change(caller)

    async def build() -> Write:
        current, held = await _own(desk, caller, connection_id)
        users = await desk.users.published_with(current.org_id, connection_id, NAMED)
        if users:
            raise Conflict(
                "connection_in_use",
                f"Published offerings are served by it: {', '.join(users)}",
                hint="Withdraw them, or give them another source.",
            )
        event = desk.ledger.event(
            "connection.removed.v1",
            connection_id,
            {
                "connection_id": connection_id,
                "organisation_id": current.org_id,
                "by": caller.client_id,
            },
            provider_id=current.org_id,
        )
        reads = acting(caller)
        if held is not None:
            reads[(SECRETS, connection_id)] = held.rev
        gone: dict[str, Any] = {"status": "removed", "salt": ""}
        gone |= {"name": "", "url": "", "settings": {}}
        gone |= {"credential": None, "replaced_ms": None, "changed_ms": now_ms()}
        return Write(
            [event],
            reads=reads,
            updates=[Update(CONNECTIONS, connection_id, current.rev, gone)],
            deletes=[Delete(SECRETS, {"id": connection_id})],
        )

    await commit_fresh(desk.ledger, build)


async def _own(
    desk: ConnectionDesk, caller: Caller, connection_id: str
) -> tuple[Connection, Sealed | None]:
    found = await desk.store.with_secret(caller.org_id, connection_id)
    if found is None:
        raise NotFound("connection_unknown", "No such connection of your organisation.")
    return found


async def _with_credential(
    desk: ConnectionDesk,
    caller: Caller,
    connection: Connection,
    held: Sealed | None,
    credential: Credential,
    events: list[Event],
    values: Mapping[str, Any],
) -> Write:
    """Return the write of a credential given anew for a connection as it will be."""
    place = Place(connection.id, connection.org_id, origin(connection.url))
    sealed = await seal(desk, place, credential)
    given = {"credential": credential.kind, "replaced_ms": now_ms()}
    updates = [Update(CONNECTIONS, connection.id, connection.rev, {**values, **given})]
    inserts = []
    if held is None:
        inserts = [Insert(SECRETS, {"id": connection.id, "rev": 1, **sealed.values})]
    else:
        updates.append(Update(SECRETS, connection.id, held.rev, sealed.values))
    return Write(
        [*events, _replaced(desk, caller, connection, credential)],
        reads={**acting(caller), **sealed.reads},
        inserts=inserts,
        updates=updates,
    )


def _replaced(
    desk: ConnectionDesk, caller: Caller, connection: Connection, credential: Credential | None
) -> Event:
    """Return the leaf; it says nothing of the secret, not even as a commitment to guess at."""
    return desk.ledger.event(
        "connection.credential_replaced.v1",
        connection.id,
        {
            "connection_id": connection.id,
            "organisation_id": connection.org_id,
            "credential": credential and credential.kind,
            "by": caller.client_id,
        },
        provider_id=connection.org_id,
    )
