"""The party that a client is: its rows as one read found them, and that they still are so."""

from collections.abc import Sequence

from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Met, Once, RowKey, Stale, Write
from exchange.oauth.model import Party, Refused
from exchange.participants.store import CLIENTS, MEMBERS, ORGANISATIONS, Participants


async def load_party(
    participants: Participants, client_id: str, *, fresh: bool = False
) -> Party | None:
    """Load a client, its organisation and the person whose it is; None where one is missing."""
    client = await participants.clients.get(client_id, fresh=fresh)
    if client is None:
        return None
    organisation = await participants.organisations.get(client.org_id, fresh=fresh)
    if organisation is None:
        return None
    if client.member_id is None:
        return Party(client, organisation)
    member = await participants.members.get(client.member_id, fresh=fresh)
    return Party(client, organisation, member) if member is not None else None


def own_reads(party: Party) -> dict[RowKey, int]:
    """Return the rev of each row that the client was authenticated by."""
    own: dict[RowKey, int] = {
        (CLIENTS, party.client.id): party.client.rev,
        (ORGANISATIONS, party.organisation.id): party.organisation.rev,
    }
    if party.member is not None:
        own[(MEMBERS, party.member.id)] = party.member.rev
    return own


async def spend(
    ledger: Ledger, party: Party, once: Sequence[Once], reads: dict[RowKey, int] | None = None
) -> None:
    """Use up what is good once; raises Stale where a row has changed, Refused where it was used."""
    own, rest = own_reads(party), reads or {}
    torn = [key for key, rev in own.items() if rest.get(key, rev) != rev]
    if torn:  # the client was authenticated and something decided on different states
        raise Stale([(table.name, row_id) for table, row_id in torn])
    result = await ledger.commit(Write(once=once, reads={**rest, **own}))
    if isinstance(result, Met):
        raise used_before(result)


def used_before(met: Met) -> Refused:
    """Return the refusal of an assertion or a proof that was used."""
    if met.key.startswith("dpop:"):
        return Refused("invalid_dpop_proof", "This proof was used before: make a new one.")
    return Refused("invalid_client", "This assertion was used before: make a new one.")
