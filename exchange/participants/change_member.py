"""Change what a person may do for an organisation, and remove them."""

from dataclasses import replace

from exchange.errors import Conflict
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import RowKey, Update, Write
from exchange.participants.invite_member import may_manage
from exchange.participants.model import Member
from exchange.participants.register_client import ENDED, disabled
from exchange.participants.store import CLIENTS, MEMBERS, Participants, acting

GONE = {"status": "removed", "name": None, "invitation_hash": None}
NAMELESS = {"status": "disabled", "name": ""}


async def set_member_roles(
    ledger: Ledger,
    participants: Participants,
    caller: Caller,
    member_id: str,
    roles: frozenset[str],
) -> Member:
    """Give a member these roles instead of theirs; their tokens allow no more from now on."""
    may_manage(caller, (await participants.member(member_id)).org_id)

    async def build() -> Write:
        member = await participants.member(member_id)
        if member.status == "removed":
            raise Conflict("member_removed", "This member was removed.", hint="Invite them anew.")
        if member.roles == roles:  # nothing changes, and is no leaf
            return Write(reads={(MEMBERS, member_id): member.rev})
        event = ledger.event(
            "member.roles_changed.v1",
            member_id,
            {
                "member_id": member_id,
                "organisation_id": member.org_id,
                "roles": sorted(roles),
                "by": caller.client_id,
            },
            consumer_id=member.org_id,
        )
        changed = {"roles": sorted(roles)}
        relies_on = {} if "owner" in roles else await _owner_stays(participants, caller, member)
        return Write(
            [event],
            reads={**relies_on, **acting(caller)},
            updates=[_seen(caller, Update(MEMBERS, member_id, member.rev, changed))],
        )

    await commit_fresh(ledger, build)
    return await participants.member(member_id)


async def remove_member(
    ledger: Ledger, participants: Participants, caller: Caller, member_id: str
) -> Member:
    """Remove a member: their clients are disabled with them, their name is erased.

    Whoever is only invited cannot join any more. Removing again changes nothing.
    """
    may_manage(caller, (await participants.member(member_id)).org_id)

    async def build() -> Write:
        member = await participants.member(member_id)
        if member.status == "removed":
            return Write(reads={(MEMBERS, member_id): member.rev})
        relies_on = await _owner_stays(participants, caller, member)
        event = ledger.event(
            "member.removed.v1",
            member_id,
            {"member_id": member_id, "organisation_id": member.org_id, "by": caller.client_id},
            consumer_id=member.org_id,
        )
        events, updates = [event], [Update(MEMBERS, member_id, member.rev, GONE)]
        # A client that this person registers meanwhile changes the member's rev: none is missed.
        for client in await participants.list_clients(member.org_id):
            if client.member_id == member_id:
                if client.status not in ENDED:
                    events.append(disabled(ledger, client, by=caller.client_id))
                updates.append(Update(CLIENTS, client.id, client.rev, NAMELESS))
        return Write(
            events,
            reads={**relies_on, **acting(caller)},
            updates=[_seen(caller, update) for update in updates],
        )

    await commit_fresh(ledger, build)
    return await participants.member(member_id)


def _seen(caller: Caller, update: Update) -> Update:
    """Return the update at the rev that the caller was authenticated with, if the row is theirs.

    An owner who was made something else meanwhile must not make themself owner again.
    """
    rev = acting(caller).get((update.table, update.id), update.rev)
    return replace(update, rev=rev)


async def _owner_stays(
    participants: Participants, caller: Caller, member: Member
) -> dict[RowKey, int]:
    """Return the row of an owner who stays when `member` is one no more; raises Conflict.

    The write reads that row, so two owners who leave at once cannot each rely on the other. The
    operator may take the last one away.
    """
    is_owner = member.status == "active" and "owner" in member.roles
    if not is_owner or (caller.operates and "operate" in caller.scopes):
        return {}
    for other in await participants.list_members(member.org_id):
        if other.id != member.id and other.status == "active" and "owner" in other.roles:
            return {(MEMBERS, other.id): other.rev}
    raise Conflict(
        "last_owner",
        "An organisation keeps at least one owner.",
        hint="Make somebody else an owner first, or ask the operator.",
    )
