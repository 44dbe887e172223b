"""Invite a program into an organisation (RFC 7591): an initial access token registers one client.

The token is a secret that is shown once: the table holds its SHA-256, and the log nothing. It ends
by its use, by the clock, by being withdrawn, and with whoever made it.
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
from exchange.ledger.write import Insert, Met, RowKey, Update, Write
from exchange.participants.invite_member import may_manage
from exchange.participants.model import Client, ClientInvitation, Profile
from exchange.participants.register_client import client_write, room_for_a_client
from exchange.participants.store import (
    CLIENT_INVITATIONS,
    CLIENTS,
    MEMBERS,
    ORGANISATIONS,
    Participants,
    acting,
)

PREFIX = "dsi_"
MAX_OPEN = 50  # of one organisation
DAYS, MAX_DAYS = 7, 30


async def invite_client(
    ledger: Ledger,
    participants: Participants,
    caller: Caller,
    org_id: str,
    *,
    days: int = DAYS,
    approved: bool = False,
    may_have_secret: bool = False,
    idempotency_key: str | None = None,
) -> tuple[ClientInvitation, str | None]:
    """Return the invitation and its token, a secret: None where this was done before.

    An owner invites into its own organisation, the operator into any; only the operator's client is
    `approved` at once, or may have a secret.
    """
    may_manage(caller, org_id)
    if (approved or may_have_secret) and not caller.operates:
        raise Forbidden(
            "operator_only",
            "Only the operator invites clients that need no approval, or may have a secret.",
        )
    invitation_id, token = new_id("inv"), PREFIX + secrets.token_urlsafe(32)
    body = {"org_id": org_id, "days": days, "approved": approved, "secrets": may_have_secret}
    once = idempotency(caller.client_id, idempotency_key, body, invitation_id)

    async def build() -> Write:
        organisation = await participants.organisation(org_id)
        now = now_ms()
        if await participants.open_client_invitations(org_id, now) >= MAX_OPEN:
            raise Conflict(
                "too_many_invitations",
                f"An organisation has at most {MAX_OPEN} open invitations of clients.",
                hint="Withdraw some.",
            )
        event = ledger.event(
            "client.invited.v1",
            invitation_id,
            {
                "invitation_id": invitation_id,
                "organisation_id": org_id,
                "expires_ms": now + days * DAY_MS,
                "approved": approved,
                "secrets": may_have_secret,
                "by": caller.client_id,
            },
            consumer_id=org_id,
        )
        row = {
            "id": invitation_id,
            "org_id": org_id,
            "token_hash": _hash(token),
            "status": "open",
            "expires_ms": now + days * DAY_MS,
            "approved": approved,
            "secrets": may_have_secret,
            "client_id": None,
            "made_by": caller.client_id,
            "rev": 1,
            "created_ms": now,
        }
        reads = {(ORGANISATIONS, org_id): organisation.rev, **acting(caller)}
        return Write([event], reads=reads, inserts=[Insert(CLIENT_INVITATIONS, row)], once=once)

    _, result = await commit_fresh(ledger, build, once)
    if isinstance(result, Met):
        return await participants.client_invitation(first_outcome(result, body)), None
    return await participants.client_invitation(invitation_id), token


async def withdraw_client_invitation(
    ledger: Ledger, participants: Participants, caller: Caller, invitation_id: str
) -> ClientInvitation:
    """Withdraw an invitation that nobody used; doing it again changes nothing."""
    found = await participants.client_invitation(invitation_id)
    if not caller.operates and found.org_id != caller.org_id:
        raise NotFound("invitation_unknown", "No such invitation of your organisation.")
    may_manage(caller, found.org_id)

    async def build() -> Write:
        current = await participants.client_invitation(invitation_id)
        if current.status == "used":
            raise Conflict(
                "invitation_used",
                "A client was registered by it already.",
                hint=f"Disable the client {current.client_id} instead.",
            )
        if current.status == "withdrawn":
            return Write(reads={(CLIENT_INVITATIONS, current.id): current.rev})
        event = ledger.event(
            "client.invitation_withdrawn.v1",
            current.id,
            {
                "invitation_id": current.id,
                "organisation_id": current.org_id,
                "by": caller.client_id,
            },
            consumer_id=current.org_id,
        )
        update = Update(CLIENT_INVITATIONS, current.id, current.rev, {"status": "withdrawn"})
        return Write([event], reads=acting(caller), updates=[update])

    await commit_fresh(ledger, build)
    return await participants.client_invitation(invitation_id)


async def open_invitation(participants: Participants, token: str) -> ClientInvitation:
    """Return the invitation that a token is for; raises NotFound, alike whatever is wrong with it.

    Unknown, used, withdrawn, too old, of a suspended organisation, or whoever made it is gone.
    """
    return (await _open(participants, token))[0]


async def register_invited_client(
    ledger: Ledger,
    participants: Participants,
    *,
    token: str,
    name: str,
    jwks: Mapping[str, Any],
    profile: Profile,
) -> Client:
    """Make the client that an invitation is for: a program of its organisation.

    It waits for the operator's approval unless the operator said that it need not. Raises NotFound
    as `open_invitation` does, and Forbidden for a secret that the invitation does not allow.
    """
    client_id = new_id("cli")

    async def build() -> Write:
        invitation, reads = await _open(participants, token)
        if profile.auth_method != "private_key_jwt" and not invitation.secrets:
            raise Forbidden(
                "secret_not_allowed", "This invitation is for a client with keys, not a secret."
            )
        await room_for_a_client(participants, invitation.org_id)
        made = client_write(
            ledger,
            client_id,
            invitation.org_id,
            name,
            jwks,
            set_by=client_id,
            profile=profile,
            status="active" if invitation.approved else "pending",
            invitation_id=invitation.id,
        )
        used = {"status": "used", "client_id": client_id}
        return Write(
            made.events,
            reads=reads,
            inserts=made.inserts,
            updates=[Update(CLIENT_INVITATIONS, invitation.id, invitation.rev, used)],
        )

    await commit_fresh(ledger, build)
    return await participants.client(client_id)


async def _open(
    participants: Participants, token: str
) -> tuple[ClientInvitation, dict[RowKey, int]]:
    """Return an open invitation and what makes it so; raises NotFound."""
    found = await participants.client_invitation_of(_hash(token))
    if found is None or not found.is_open(now_ms()):
        raise _unknown()
    organisation = await participants.organisation(found.org_id)
    maker = await participants.client(found.made_by)
    reads = {(ORGANISATIONS, organisation.id): organisation.rev, (CLIENTS, maker.id): maker.rev}
    stands = maker.status == "active" and organisation.status == "active"
    if maker.member_id is not None:
        member = await participants.member(maker.member_id)
        reads[(MEMBERS, member.id)] = member.rev
        stands = stands and member.status == "active" and "owner" in member.roles
    if not stands:
        raise _unknown()
    return found, reads


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _unknown() -> NotFound:
    return NotFound(
        "invitation_unknown",
        "There is no such invitation, or it was used, withdrawn or too old.",
        hint="Ask for another from whoever invited you.",
    )
