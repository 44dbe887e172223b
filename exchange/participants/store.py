"""Reads of participants: cached for the hot path, fresh for everyone else."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Row, func, select

from exchange.cache import RowCache
from exchange.db import Database
from exchange.errors import NotFound
from exchange.http import Caller
from exchange.ledger.write import RowKey
from exchange.participants.engagements import ITS_OWN, Engagement, Sight, sight_of
from exchange.participants.engagements_store import open_engagements
from exchange.participants.model import (
    OVERSEERS,
    Attribute,
    Client,
    ClientInvitation,
    ClientStatus,
    Member,
    Organisation,
)
from exchange.participants.tables import (
    ClientInvitationRow,
    ClientRow,
    MemberRow,
    OrganisationRow,
)

ORGANISATIONS = OrganisationRow.__table__  # type: ignore[attr-defined]
CLIENTS = ClientRow.__table__  # type: ignore[attr-defined]
CLIENT_INVITATIONS = ClientInvitationRow.__table__  # type: ignore[attr-defined]
MEMBERS = MemberRow.__table__  # type: ignore[attr-defined]


def acting(caller: Caller) -> dict[RowKey, int]:
    """Return what a caller's write has to read: who acts may be disabled or removed meanwhile."""
    reads: dict[RowKey, int] = {}
    if caller.client_rev is not None:
        reads[(CLIENTS, caller.client_id)] = caller.client_rev
    if caller.member_id is not None and caller.member_rev is not None:
        reads[(MEMBERS, caller.member_id)] = caller.member_rev
    return reads


class Participants:
    """Organisations, members, clients by id, auditors' engagements by auditor, each cached."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.organisations: RowCache[Organisation] = RowCache(self._load_organisation)
        self.clients: RowCache[Client] = RowCache(self._load_client)
        self.members: RowCache[Member] = RowCache(self._load_member)
        self.engagements: RowCache[tuple[Engagement, ...]] = RowCache(self._load_engagements)

    async def sight(
        self, organisation: Organisation, member_roles: frozenset[str] | None, now_ms: int
    ) -> Sight:
        """Return whose affairs an organisation's program (None) or person may read just now."""
        if member_roles is not None and member_roles.isdisjoint(OVERSEERS):
            return ITS_OWN
        held: tuple[Engagement, ...] | None = ()
        if "auditor" in organisation.roles:
            held = await self.engagements.get(organisation.id)
        return sight_of(organisation, held or (), now_ms)

    async def organisation(self, org_id: str) -> Organisation:
        """Return an organisation, read now; raises NotFound."""
        found = await self.organisations.get(org_id, fresh=True)
        if found is None:
            raise NotFound("organisation_unknown", "No such organisation.")
        return found

    async def client(self, client_id: str) -> Client:
        """Return a client, read now; raises NotFound."""
        found = await self.clients.get(client_id, fresh=True)
        if found is None:
            raise NotFound("client_unknown", "No such client.")
        return found

    async def member(self, member_id: str) -> Member:
        """Return a member, read now; raises NotFound."""
        found = await self.members.get(member_id, fresh=True)
        if found is None:
            raise NotFound("member_unknown", "No such member.")
        return found

    async def invited(self, invitation_hash: str) -> Member | None:
        """Return whom an invitation with this hash was made for, whatever became of it."""
        query = select(MEMBERS).where(MEMBERS.c.invitation_hash == invitation_hash)
        row = await self.db.read(lambda c: c.execute(query).one_or_none())
        return _member(row) if row is not None else None

    async def list_members(self, org_id: str) -> list[Member]:
        """Return an organisation's members, oldest first."""
        query = select(MEMBERS).where(MEMBERS.c.org_id == org_id).order_by(MEMBERS.c.id)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [_member(row) for row in rows]

    async def list_organisations(
        self, after: str | None, limit: int, only: Collection[str] | None = None
    ) -> list[Organisation]:
        """Return organisations by id, `limit` at most, of `only` these if given."""
        query = select(ORGANISATIONS).order_by(ORGANISATIONS.c.id).limit(limit)
        if after is not None:
            query = query.where(ORGANISATIONS.c.id > after)
        if only is not None:
            query = query.where(ORGANISATIONS.c.id.in_(only))
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [_organisation(row) for row in rows]

    async def list_clients(self, org_id: str) -> list[Client]:
        """Return an organisation's clients, oldest first."""
        query = select(CLIENTS).where(CLIENTS.c.org_id == org_id).order_by(CLIENTS.c.id)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [_client(row) for row in rows]

    async def find_clients(
        self,
        after: str | None,
        limit: int,
        only: Collection[str] | None = None,
        status: ClientStatus | None = None,
    ) -> list[Client]:
        """Return clients by id, `limit` at most: of `only` these organisations, of one status."""
        query = select(CLIENTS).order_by(CLIENTS.c.id).limit(limit)
        if after is not None:
            query = query.where(CLIENTS.c.id > after)
        if only is not None:
            query = query.where(CLIENTS.c.org_id.in_(only))
        if status is not None:
            query = query.where(CLIENTS.c.status == status)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [_client(row) for row in rows]

    async def client_invitation(self, invitation_id: str) -> ClientInvitation:
        """Return an invitation of a client; raises NotFound."""
        query = select(CLIENT_INVITATIONS).where(CLIENT_INVITATIONS.c.id == invitation_id)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise NotFound("invitation_unknown", "No such invitation of your organisation.")
        return ClientInvitation(**row._asdict())

    async def client_invitation_of(self, token_hash: str) -> ClientInvitation | None:
        """Return the invitation whose token has this hash, whatever became of it."""
        query = select(CLIENT_INVITATIONS).where(CLIENT_INVITATIONS.c.token_hash == token_hash)
        row = await self.db.read(lambda c: c.execute(query).one_or_none())
        return ClientInvitation(**row._asdict()) if row is not None else None

    async def open_client_invitations(self, org_id: str, now_ms: int) -> int:
        """Return how many open invitations of clients an organisation has."""
        of = CLIENT_INVITATIONS.c
        query = select(func.count()).where(
            of.org_id == org_id, of.status == "open", of.expires_ms > now_ms
        )
        return await self.db.read(lambda c: c.execute(query).scalar_one())

    async def list_client_invitations(
        self, org_id: str, after: str | None, limit: int
    ) -> list[ClientInvitation]:
        """Return an organisation's invitations of clients, oldest first."""
        of = CLIENT_INVITATIONS.c
        query = select(CLIENT_INVITATIONS).where(of.org_id == org_id).order_by(of.id).limit(limit)
        if after is not None:
            query = query.where(of.id > after)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [ClientInvitation(**row._asdict()) for row in rows]

    def drop(self, ids: Sequence[str]) -> None:
        """Forget cached rows that changed."""
        self.organisations.drop(ids)
        self.clients.drop(ids)
        self.members.drop(ids)
        self.engagements.drop(ids)

    async def _load_organisation(self, org_id: str) -> Organisation | None:
        def query(connection: Connection) -> Organisation | None:
            statement = select(ORGANISATIONS).where(ORGANISATIONS.c.id == org_id)
            row = connection.execute(statement).one_or_none()
            return _organisation(row) if row is not None else None

        return await self.db.point(query)

    async def _load_client(self, client_id: str) -> Client | None:
        def query(connection: Connection) -> Client | None:
            row = connection.execute(select(CLIENTS).where(CLIENTS.c.id == client_id)).one_or_none()
            return _client(row) if row is not None else None

        return await self.db.point(query)

    async def _load_member(self, member_id: str) -> Member | None:
        query = select(MEMBERS).where(MEMBERS.c.id == member_id)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        return _member(row) if row is not None else None

    async def _load_engagements(self, auditor_id: str) -> tuple[Engagement, ...]:
        return await open_engagements(self.db, auditor_id)


def _organisation(row: Row[tuple[object, ...]]) -> Organisation:
    values = row._asdict()
    values["roles"] = frozenset(values["roles"])
    if values["holds"]:
        values["status"] = "suspended"
    values["attributes"] = {n: Attribute(**a) for n, a in values["attributes"].items()}
    return Organisation(**values)


def _client(row: Row[tuple[object, ...]]) -> Client:
    return Client(**row._asdict())


def _member(row: Row[tuple[object, ...]]) -> Member:
    values = row._asdict()
    values["roles"] = frozenset(values["roles"])
    return Member(**values)
