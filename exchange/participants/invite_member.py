"""Invite a person into an organisation, and let them join with a key of their own making.

The invitation is a secret that is shown once: the table holds its SHA-256, and the log nothing.
"""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from exchange.clock import DAY_MS, now_ms
from exchange.errors import Conflict, Forbidden, NotFound
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Insert, Met, Update, Write
from exchange.participants.model import PLAIN, Client, Member, Organisation, Profile
from exchange.participants.register_client import client_write, room_for_a_client
from exchange.participants.store import MEMBERS, ORGANISATIONS, Participants, acting

INVITATION_DAYS = 7
MAX_MEMBERS = 200


def may_manage(caller: Caller, org_id: str) -> None:
    """Raise Forbidden unless the caller manages this organisation's members.

    An owner manages its own; the operator, whose first owner it must be who invites, any.
    """
    if caller.operates and "operate" in caller.scopes:
        return
    if caller.org_id != org_id:
        raise Forbidden("organisation_not_yours", "You may manage your own organisation only.")
    if "members" not in caller.scopes or not caller.stands_as("owner"):
        raise Forbidden(
            "member_role_missing",
            "Only an owner of the organisation, or the operator, manages its members.",
            hint="Ask an owner, or the operator while there is none.",
        )


async def invite_member(
    ledger: Ledger,
    participants: Participants,
    caller: Caller,
    org_id: str,
    *,
    name: str,
    roles: frozenset[str],
    idempotency_key: str | None = None,
) -> tuple[Member, str | None]:
    """Return the invited member and the invitation, a secret: None where this was done before."""
    may_manage(caller, org_id)
    member_id, invitation = new_id("mbr"), secrets.token_urlsafe(32)
    body = {"org_id": org_id, "name": name, "roles": sorted(roles)}
    once = idempotency(caller.client_id, idempotency_key, body, member_id)

    async def build() -> Write:
        organisation = await participants.organisation(org_id)
        members = await participants.list_members(org_id)
        if sum(member.status != "removed" for member in members) >= MAX_MEMBERS:
            raise Conflict(
                "too_many_members", f"An organisation has at most {MAX_MEMBERS} members."
            )
        now = now_ms()
        expires_ms = now + INVITATION_DAYS * DAY_MS
        event = ledger.event(
            "member.invited.v1",
            member_id,
            {
                "member_id": member_id,
                "organisation_id": org_id,
                "roles": sorted(roles),
                "expires_ms": expires_ms,
                "by": caller.client_id,
            },
            consumer_id=org_id,
        )
        row = {
            "id": member_id,
            "org_id": org_id,
            "name": name,
            "roles": sorted(roles),
            "status": "invited",
            "invitation_hash": _hash(invitation),
            "invitation_expires_ms": expires_ms,
            "rev": 1,
            "created_ms": now,
        }
        reads = {(ORGANISATIONS, org_id): organisation.rev, **acting(caller)}
        return Write([event], reads=reads, inserts=[Insert(MEMBERS, row)], once=once)

    _, result = await commit_fresh(ledger, build, once)
    if isinstance(result, Met):
        return await participants.member(first_outcome(result, body)), None
    return await participants.member(member_id), invitation


async def accept_invitation(
    ledger: Ledger,
    participants: Participants,
    *,
    invitation: str,
    client_name: str,
    jwks: Mapping[str, Any],
    profile: Profile = PLAIN,
    idempotency_key: str | None = None,
) -> tuple[Member, Client]:
    """Make the invited person a member, with a client of theirs that holds these public keys.

    Raises NotFound, alike for an invitation that is unknown, used, withdrawn or expired.
    """
    digest = _hash(invitation)
    client_id = new_id("cli")
    body = {"jwks": jwks, "name": client_name, "dpop_bound": profile.dpop_bound}
    once = idempotency(f"invitation:{digest}", idempotency_key, body, client_id)

    async def build() -> Write:
        member = await participants.invited(digest)
        if member is None:
            raise _unknown()
        organisation = await participants.organisation(member.org_id)
        if not _is_open(member, organisation):
            if not once:
                raise _unknown()
            return Write(unless=[each.key for each in once])  # it may be asked again
        await room_for_a_client(participants, organisation.id)
        joined = ledger.event(
            "member.joined.v1",
            member.id,
            {"member_id": member.id, "organisation_id": organisation.id, "client_id": client_id},
            consumer_id=organisation.id,
        )
        made = client_write(
            ledger,
            client_id,
            organisation.id,
            client_name,
            jwks,
            set_by=client_id,
            member_id=member.id,
            profile=profile,
        )
        return Write(
            [joined, *made.events],
            reads={(ORGANISATIONS, organisation.id): organisation.rev},
            inserts=made.inserts,
            updates=[Update(MEMBERS, member.id, member.rev, {"status": "active"})],
            once=once,
        )

    write, result = await commit_fresh(ledger, build, once)
    if isinstance(result, Met):
        client_id = first_outcome(result, body)
    elif not write.events:
        raise _unknown()
    client = await participants.client(client_id)
    if client.member_id is None:
        raise RuntimeError("a person joined without a client of theirs")
    return await participants.member(client.member_id), client


def _is_open(member: Member, organisation: Organisation) -> bool:
    return (
        member.status == "invited"
        and member.invitation_expires_ms > now_ms()
        and organisation.status == "active"
    )


def _hash(invitation: str) -> str:
    return hashlib.sha256(invitation.encode()).hexdigest()


def _unknown() -> NotFound:
    return NotFound(
        "invitation_unknown",
        "There is no such invitation, or it was used, withdrawn or too old.",
        hint="Ask for another from whoever invited you.",
    )
