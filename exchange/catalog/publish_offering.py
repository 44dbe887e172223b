"""Draft, revise, publish and withdraw an offering. Each change of published terms is a leaf."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace

from exchange.catalog.keep_index import changed_entry, new_entry
from exchange.catalog.model import (
    Offering,
    SourceObject,
    Sources,
    Table,
    Terms,
    publish,
    revise,
    withdraw,
)
from exchange.catalog.preview import preview_rows
from exchange.catalog.store import OFFERINGS, VERSIONS, Catalog, unknown_offering, values_of
from exchange.clock import now_ms
from exchange.connections.model import Connection
from exchange.connections.store import CONNECTIONS
from exchange.errors import BadInput, Conflict, Forbidden
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Delete, Insert, Met, Once, Update, Write
from exchange.participants.register_organisation import commitment
from exchange.participants.store import ORGANISATIONS, Participants, acting


async def draft_offering(
    ledger: Ledger,
    catalog: Catalog,
    caller: Caller,
    terms: Terms,
    idempotency_key: str | None = None,
) -> Offering:
    """Write a draft, visible to its platform only; no leaf, since nobody is bound by it."""
    await _require_known(catalog, caller.org_id, terms)
    now = now_ms()
    offering = Offering(new_id("off"), caller.org_id, 0, "draft", terms, (), 1, now, now)
    body = terms.as_document()
    result = await ledger.commit(
        Write(
            reads=acting(caller),
            inserts=[
                Insert(OFFERINGS, {"id": offering.id, "rev": 1, **values_of(offering)}),
                *new_entry(offering),
            ],
            once=idempotency(caller.client_id, idempotency_key, body, offering.id),
        )
    )
    return await catalog.offering(
        first_outcome(result, body) if isinstance(result, Met) else offering.id
    )


async def revise_offering(
    ledger: Ledger,
    catalog: Catalog,
    sources: Sources,
    caller: Caller,
    offering_id: str,
    terms: Terms,
    check: Callable[[Offering], None] = lambda held: None,
    idempotency_key: str | None = None,
) -> Offering:
    """Take new terms: into a draft in place; into a published offering as its next version.

    `check` raises where the offering is not what the caller revises.
    """
    began: set[str] = set()

    async def build() -> tuple[Offering, Write]:
        held = await _own(catalog, caller, offering_id)
        began.add(held.status)
        if len(began) > 1:
            raise Conflict(
                "offering_published", "It was published meanwhile: send the terms again."
            )
        check(held)
        revised = revise(held, terms)
        await _require_known(catalog, caller.org_id, terms)
        if held.status == "published":
            return await _publishing(ledger, catalog, sources, caller, held, revised)
        changed = replace(revised, changed_ms=now_ms())
        inserts, updates, deletes = await _changes(catalog, held, changed)
        write = Write(reads=acting(caller), inserts=inserts, updates=updates, deletes=deletes)
        return changed, write

    body = ["revise", offering_id, terms.as_document()]
    return await _change(ledger, catalog, caller, offering_id, build, body, idempotency_key)


async def publish_offering(
    ledger: Ledger,
    catalog: Catalog,
    participants: Participants,
    sources: Sources,
    caller: Caller,
    offering_id: str,
    idempotency_key: str | None = None,
) -> Offering:
    """Publish an offering: measure and hash its data, make a version, write the leaf."""

    async def build() -> tuple[Offering, Write]:
        provider = await participants.organisation(caller.org_id)
        if provider.status != "active":
            raise Forbidden("organisation_suspended", "Your organisation is suspended.")
        held = await _own(catalog, caller, offering_id)
        changed, write = await _publishing(ledger, catalog, sources, caller, held, held)
        own = (ORGANISATIONS, caller.org_id)
        return changed, replace(write, reads={**write.reads, own: provider.rev})

    body = ["publish", offering_id]
    return await _change(ledger, catalog, caller, offering_id, build, body, idempotency_key)


async def _change(
    ledger: Ledger,
    catalog: Catalog,
    caller: Caller,
    offering_id: str,
    build: Callable[[], Awaitable[tuple[Offering, Write]]],
    body: object,
    idempotency_key: str | None,
) -> Offering:
    """Commit a change of an offering; sent again, the same key answers with the version it made."""

    def once(outcome: str) -> Sequence[Once]:
        return idempotency(caller.client_id, idempotency_key, body, outcome)

    async def build_once() -> Write:
        changed, write = await build()
        return replace(write, once=once(str(changed.version)))

    _, result = await commit_fresh(ledger, build_once, once(""))
    offering = await catalog.offering(offering_id)
    if not isinstance(result, Met):
        return offering
    version = int(first_outcome(result, body))
    return await catalog.in_version(offering, version) if version else offering


async def _publishing(
    ledger: Ledger,
    catalog: Catalog,
    sources: Sources,
    caller: Caller,
    held: Offering,
    wanted: Offering,
) -> tuple[Offering, Write]:
    """Return the next version of a held offering, and the write that publishes it."""
    connection = await _connection(catalog, held.provider_id, wanted.terms)
    objects: tuple[SourceObject, ...] = ()
    tables: Sequence[Table] = ()
    if wanted.terms.kind == "dataset":
        owner, source = held.provider_id, wanted.terms.source
        objects = await sources.describe(owner, source)
        tables = await sources.peek(owner, source, objects, wanted.terms.rows_shown)
    changed = replace(publish(wanted, objects), changed_ms=now_ms())
    document = changed.terms.as_document()
    salt = secrets.token_hex(16)
    event = ledger.event(
        "offering.published.v1",
        held.id,
        {
            "offering_id": held.id,
            "version": changed.version,
            "provider_id": held.provider_id,
            "kind": changed.terms.kind,
            "terms_commitment": commitment(salt, document),
            "objects": [{"sha256": o.sha256, "bytes": o.bytes} for o in objects],
            "by": caller.client_id,
        },
        provider_id=held.provider_id,
    )
    version = {
        "offering_id": held.id,
        "version": changed.version,
        "terms": document,
        "objects": [asdict(o) for o in objects],
        "salt": salt,
        "published_ms": event.time_ms,
        "event_id": event.id,
    }
    inserts, updates, deletes = await _changes(catalog, held, changed)
    if connection is not None:  # whoever removes it meanwhile must see the new offering
        updates.append(Update(CONNECTIONS, connection.id, connection.rev, {}))
    write = Write(
        [event],
        reads=acting(caller),
        inserts=[Insert(VERSIONS, version), *preview_rows(changed, tables), *inserts],
        updates=updates,
        deletes=deletes,
    )
    return changed, write


async def withdraw_offering(
    ledger: Ledger, catalog: Catalog, caller: Caller, offering_id: str
) -> Offering:
    """Withdraw an offering: no new grants from now on; existing grants go on to their end."""
    current = await _own(catalog, caller, offering_id)
    if current.status == "withdrawn":
        return current

    async def build() -> Write:
        held = await _own(catalog, caller, offering_id)
        changed = replace(withdraw(held), changed_ms=now_ms())
        event = ledger.event(
            "offering.withdrawn.v1",
            offering_id,
            {"offering_id": offering_id, "version": held.version, "by": caller.client_id},
            provider_id=held.provider_id,
        )
        inserts, updates, deletes = await _changes(catalog, held, changed)
        return Write(
            [event], reads=acting(caller), inserts=inserts, updates=updates, deletes=deletes
        )

    await commit_fresh(ledger, build)
    return await catalog.offering(offering_id)


async def _changes(
    catalog: Catalog, held: Offering, changed: Offering
) -> tuple[list[Insert], list[Update], list[Delete]]:
    """Return what a change does to the offering's row, and to what the index holds of it."""
    inserts, updates, deletes = changed_entry(await catalog.indexed(held.id), changed)
    row = Update(OFFERINGS, held.id, held.rev, values_of(changed))
    return inserts, [row, *updates], deletes


async def _require_known(catalog: Catalog, org_id: str, terms: Terms) -> None:
    """Refuse a connection that the platform has not, and an audience that nobody could be.

    Organisations never go, so nothing can change the latter.
    """
    await _connection(catalog, org_id, terms)
    unknown = await catalog.unknown_organisations(terms.audience or ())
    if unknown:
        raise BadInput(
            "audience_unknown",
            f"audience names who is not here: {', '.join(unknown[:5])}",
            status=422,
            hint="Leave audience out to show the offering to everybody.",
        )


async def _connection(catalog: Catalog, org_id: str, terms: Terms) -> Connection | None:
    """Return the connection that the terms' source names, if it names one; raises BadInput.

    Another platform's is refused as one that nobody has: the answer must not tell them apart.
    """
    named = terms.source.get("connection")
    if named is None:
        return None
    found = await catalog.connections.find(org_id, named)
    if found is None or found.kind != terms.source["connector"]:
        raise BadInput(
            "connection_unknown",
            f"source.connection names no connection of yours of kind {terms.source['connector']}.",
            status=422,
            hint="GET /v1/connections lists yours; POST /v1/connections registers one.",
        )
    return found


async def _own(catalog: Catalog, caller: Caller, offering_id: str) -> Offering:
    offering = await catalog.offering(offering_id)
    if offering.provider_id != caller.org_id:
        # What it may not know of must not show by the kind of refusal.
        if not offering.is_shown_to(caller.org_id):
            raise unknown_offering()
        raise Forbidden("offering_not_yours", "Only the platform that published it may do this.")
    return offering
