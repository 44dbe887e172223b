"""Register an organisation, and set its attributes with their evidence."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

from exchange.clock import now_ms
from exchange.errors import Forbidden
from exchange.formats import canonical
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Event, Insert, Met, Update, Write
from exchange.participants.model import Evidence, Organisation
from exchange.participants.store import ORGANISATIONS, Participants, acting
from exchange.participants.tables import AttributeVersionRow

VERSIONS = AttributeVersionRow.__table__  # type: ignore[attr-defined]
Declared = Mapping[str, tuple[str | int, Evidence]]


def commitment(salt: str, value: object) -> str:
    """Return HMAC-SHA-256(salt, canonical JSON of the value), hex: what a leaf says of a value."""
    return hmac.new(bytes.fromhex(salt), canonical.encode(value), hashlib.sha256).hexdigest()


async def register_organisation(
    ledger: Ledger,
    participants: Participants,
    caller: Caller,
    *,
    name_en: str,
    name_zh: str,
    roles: frozenset[str],
    attributes: Declared,
    idempotency_key: str | None = None,
) -> Organisation:
    """Register an organisation; the operator vouches for it by doing so."""
    org_id = new_id("org")
    body = {
        "name_en": name_en,
        "name_zh": name_zh,
        "roles": sorted(roles),
        "attributes": {name: list(declared) for name, declared in attributes.items()},
    }
    write = organisation_write(
        ledger, org_id, name_en, name_zh, roles, attributes, set_by=caller.client_id
    )
    once = idempotency(caller.client_id, idempotency_key, body, org_id)
    result = await ledger.commit(
        Write(write.events, reads=acting(caller), inserts=write.inserts, once=once)
    )
    if isinstance(result, Met):
        org_id = first_outcome(result, body)
    return await participants.organisation(org_id)


def organisation_write(
    ledger: Ledger,
    org_id: str,
    name_en: str,
    name_zh: str,
    roles: frozenset[str],
    attributes: Declared,
    *,
    set_by: str,
) -> Write:
    """Return the write that makes an organisation with its first attributes."""
    now = now_ms()
    events = [
        ledger.event(
            "organisation.registered.v1",
            org_id,
            {"organisation_id": org_id, "roles": sorted(roles), "by": set_by},
            consumer_id=org_id,
        )
    ]
    inserts = [
        Insert(
            ORGANISATIONS,
            {
                "id": org_id,
                "name_en": name_en,
                "name_zh": name_zh,
                "roles": sorted(roles),
                "status": "active",
                "attributes": {
                    name: {"value": value, "evidence": evidence, "version": 1}
                    for name, (value, evidence) in attributes.items()
                },
                "rev": 1,
                "created_ms": now,
            },
        )
    ]
    for name, (value, evidence) in attributes.items():
        event, row = _version(ledger, org_id, name, 1, value, evidence, set_by)
        events.append(event)
        inserts.append(row)
    return Write(events, inserts=inserts)


async def set_attribute(
    ledger: Ledger,
    participants: Participants,
    caller: Caller,
    org_id: str,
    name: str,
    value: str | int,
    evidence: Evidence,
) -> Organisation:
    """Set an attribute. An organisation declares its own; only the operator says verified."""
    if not caller.operates and (org_id != caller.org_id or evidence != "self_declared"):
        raise Forbidden(
            "evidence_not_yours",
            "An organisation may declare its own attributes; the operator verifies them.",
            hint="Send evidence self_declared for your own organisation, or ask the operator.",
        )
    if not (caller.operates or caller.stands_as("owner")):
        raise Forbidden("member_role_missing", "Only an owner declares for the organisation.")

    async def build() -> Write:
        organisation = await participants.organisation(org_id)
        held = organisation.attributes.get(name)
        version = held.version + 1 if held else 1
        event, row = _version(ledger, org_id, name, version, value, evidence, caller.client_id)
        attributes: dict[str, Any] = {
            n: {"value": a.value, "evidence": a.evidence, "version": a.version}
            for n, a in organisation.attributes.items()
        }
        attributes[name] = {"value": value, "evidence": evidence, "version": version}
        update = Update(ORGANISATIONS, org_id, organisation.rev, {"attributes": attributes})
        return Write([event], reads=acting(caller), inserts=[row], updates=[update])

    await commit_fresh(ledger, build)
    return await participants.organisation(org_id)


def _version(
    ledger: Ledger,
    org_id: str,
    name: str,
    version: int,
    value: str | int,
    evidence: Evidence,
    set_by: str,
) -> tuple[Event, Insert]:
    salt = secrets.token_hex(16)
    event = ledger.event(
        "attribute.set.v1",
        org_id,
        {
            "organisation_id": org_id,
            "name": name,
            "version": version,
            "evidence": evidence,
            "commitment": commitment(salt, value),
            "by": set_by,
        },
        consumer_id=org_id,
    )
    row = {
        "org_id": org_id,
        "name": name,
        "version": version,
        "value": value,
        "evidence": evidence,
        "salt": salt,
        "set_by": set_by,
        "set_ms": event.time_ms,
        "event_id": event.id,
    }
    return event, Insert(VERSIONS, row)
