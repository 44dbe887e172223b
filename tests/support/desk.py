"""A platform, an SME and an auditor at an exchange in this process, through the verbs alone."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from exchange.access.act_on_request import act_on_request
from exchange.access.approve_request import approve_request
from exchange.access.lift_hold import lift_hold
from exchange.access.model import Answer, Ask
from exchange.access.place_hold import place_hold
from exchange.access.renew_grant import renew_grant
from exchange.access.request_access import request_access
from exchange.access.revoke_grant import revoke_grant
from exchange.catalog.model import Offering, Terms
from exchange.catalog.publish_offering import (
    draft_offering,
    publish_offering,
    revise_offering,
    withdraw_offering,
)
from exchange.clock import DAY_MS, now_ms
from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.http import Caller
from exchange.ledger.write import Update, Write
from exchange.mounted_gateway import MountedSources
from exchange.participants.invite_member import accept_invitation, invite_member
from exchange.participants.model import scopes_of
from exchange.participants.open_engagement import open_engagement
from exchange.participants.register_client import disable_client, register_client
from exchange.participants.register_organisation import register_organisation, set_attribute
from exchange.participants.store import CLIENTS, ORGANISATIONS
from exchange.parts import Parts

KEY = generate_client_key()
JWKS = public_jwks(KEY)  # of every client here
ATTRIBUTES = {
    "jurisdiction": ("CN", "verified"),
    "industry": ("software_it_services", "verified"),
    "headcount": (42, "verified"),
    "revenue_cny_10k": (900, "verified"),
}
TERMS = Terms(
    kind="dataset",
    title_en="Flights",
    title_zh="航班",
    description_en="",
    description_zh="",
    classification="general",
    personal_information="none",
    purposes=("logistics_planning", "scientific_research"),
    max_days=90,
    jurisdictions=("CN",),
    min_evidence="self_declared",
    approval="automatic",
    sizes=("micro", "small", "medium"),
    max_sessions=None,
    source={"connector": "files", "path": "data.bin"},
)


def operator(parts: Parts) -> Caller:
    made = json.loads((parts.settings.keys_dir / "operator.json").read_text())
    return _caller(made["client_id"], made["organisation_id"], "operator")


def _caller(client_id: str, org_id: str, *held: str) -> Caller:
    roles = frozenset(held)
    sight = None if "operator" in roles else frozenset()
    return Caller(client_id, org_id, roles, scopes_of(roles), sight=sight)


@dataclass
class World:
    """Who is there, and what they do to each other; each verb is the product's own."""

    parts: Parts
    operator: Caller
    platform: Caller = field(init=False)
    sme: Caller = field(init=False)
    offering: Offering = field(init=False)

    async def join(self, role: str, attributes=None, *, engaged=True) -> Caller:
        parts = self.parts
        made = await register_organisation(
            parts.ledger,
            parts.participants,
            self.operator,
            name_en=role,
            name_zh=role,
            roles=frozenset({role}),
            attributes=attributes or {},
        )
        client = await self.client(made.id)
        joined = _caller(client.id, made.id, role)
        if role != "auditor" or not engaged:
            return joined
        await self.engage(made.id)
        return await self.seen(joined)

    async def engage(self, auditor_id: str, *named: str, days=30, key=None, by=None):
        """Engage an auditor: for these organisations' affairs, or without any for all."""
        made, _ = await open_engagement(
            self.parts.engagements,
            self.parts.participants,
            by or self.operator,
            auditor_id,
            scope="named" if named else "whole",
            org_ids=named,
            ends_ms=now_ms() + int(days * DAY_MS),
            purpose="Yearly audit 年度审计",
            idempotency_key=key,
        )
        return made

    async def seen(self, caller: Caller) -> Caller:
        """The caller with the sight that it has now."""
        organisation = await self.parts.participants.organisation(caller.org_id)
        sight = await self.parts.participants.sight(organisation, None, now_ms())
        return replace(caller, sight=sight.org_ids, engagements=sight.engagements)

    async def client(self, org_id: str):
        parts = self.parts
        return await register_client(
            parts.ledger, parts.participants, self.operator, org_id, name="a", jwks=JWKS
        )

    async def member(self, org_id: str, *roles: str, by: Caller | None = None) -> Caller:
        """Invite a person and let them join: who they are when they call now."""
        parts, chain = self.parts, (self.parts.ledger, self.parts.participants)
        _, invitation = await invite_member(
            *chain, by or self.operator, org_id, name="Anna", roles=frozenset(roles)
        )
        member, client = await accept_invitation(
            *chain, invitation=invitation, client_name="a", jwks=JWKS
        )
        organisation = await parts.participants.organisation(org_id)
        return replace(
            _caller(client.id, org_id, *organisation.roles),
            scopes=scopes_of(organisation.roles, member.roles),
            client_rev=client.rev,
            member_id=member.id,
            member_rev=member.rev,
            member_roles=member.roles,
        )

    async def publish(self, **terms) -> Offering:
        parts, sources = self.parts, self.sources
        await sources.store(self.platform.org_id, "data.bin", _content())
        wanted = replace(TERMS, **terms)
        draft = await draft_offering(parts.ledger, parts.catalog, self.platform, wanted)
        return await publish_offering(
            parts.ledger, parts.catalog, parts.participants, sources, self.platform, draft.id
        )

    @property
    def sources(self) -> MountedSources:
        return MountedSources(self.parts.files, self.parts.s3, 1 << 20)

    async def ask(self, caller=None, *, key=None, parts=None, **more) -> Answer:
        wanted = Ask(self.offering.id, "logistics_planning", ("read",), 30)
        desk = (parts or self.parts).desk
        return await request_access(desk, caller or self.sme, replace(wanted, **more), key)

    async def approve(self, request_id: str, by: Caller, *, read=None, key=None, parts=None):
        return await approve_request((parts or self.parts).desk, by, request_id, "", read, key)

    async def act(self, act, request_id: str, by: Caller, text="…", *, form=None, key=None):
        return await act_on_request(self.parts.desk, by, request_id, act, text, form, key)

    async def renew(self, grant_id: str, days=60, *, caller=None, key=None, parts=None, **more):
        values = {"form": {}, "accepted_terms": None} | more
        desk = (parts or self.parts).desk
        return await renew_grant(
            desk, caller or self.sme, grant_id, days, **values, idempotency_key=key
        )

    async def revoke(self, grant_id: str, caller=None, reason="other", text=""):
        parts = self.parts
        return await revoke_grant(
            parts.ledger, parts.store, caller or self.platform, grant_id, reason, text
        )

    async def revise(self, **terms) -> Offering:
        parts = self.parts
        return await revise_offering(
            parts.ledger,
            parts.catalog,
            self.sources,
            self.platform,
            self.offering.id,
            replace(self.offering.terms, **terms),
        )

    async def withdraw(self) -> Offering:
        parts = self.parts
        return await withdraw_offering(parts.ledger, parts.catalog, self.platform, self.offering.id)

    async def disable(self, client_id: str) -> None:
        await disable_client(self.parts.ledger, self.parts.participants, self.operator, client_id)

    async def set_attribute(self, org_id: str, name: str, value) -> None:
        parts = self.parts
        await set_attribute(
            parts.ledger, parts.participants, self.operator, org_id, name, value, "verified"
        )

    async def suspend(self, target_id: str, caller=None, reason="other", *, key=None, text=""):
        """Place a hold, as operator unless another is named; what it is now."""
        by = caller or self.operator
        return (await place_hold(self.parts.desk, by, target_id, reason, text, key)).hold

    async def lift(self, hold_id: str, caller=None, *, text=""):
        return (await lift_hold(self.parts.desk, caller or self.operator, hold_id, text)).hold

    async def touch(self, table, row_id: str) -> None:
        """Raise a row's rev and change nothing else."""
        query = table.select().where(table.c.id == row_id)
        row = await self.parts.db.read(lambda c: c.execute(query).one())
        assert table in (ORGANISATIONS, CLIENTS) or "status" in row._fields
        update = Update(table, row_id, row.rev, {"status": row.status})
        await self.parts.ledger.commit(Write(updates=[update]))


async def _content() -> AsyncIterator[bytes]:
    yield b"0123456789" * 100


async def open_world(parts: Parts) -> World:
    """A platform with a published dataset, and an SME that may have it."""
    world = World(parts, operator(parts))
    world.platform = await world.join("platform")
    world.sme = await world.join("sme", ATTRIBUTES)
    world.offering = await world.publish()
    return world
