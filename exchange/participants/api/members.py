"""Routes of the people of organisations, and of who one is: parse, call one verb, answer."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import AfterValidator, Field, StringConstraints

from exchange.clock import now_ms, rfc3339
from exchange.errors import NotFound
from exchange.http import (
    Body,
    Caller,
    IdempotencyKey,
    JSONRoute,
    Page,
    caller_with,
    problems,
)
from exchange.ledger.ledger import Ledger
from exchange.participants.api.client_documents import ClientOut, Jwks, client_out, read_jwks
from exchange.participants.api.organisations import (
    BODY_PATTERN,
    Name,
    OrgId,
    readable,
)
from exchange.participants.change_member import remove_member, set_member_roles
from exchange.participants.invite_member import accept_invitation, invite_member
from exchange.participants.model import Member, MemberRole, Profile
from exchange.participants.store import Participants

MemberId = Annotated[str, Path(pattern=f"^mbr_{BODY_PATTERN}$", examples=["mbr_" + "0" * 26])]


def _once_each(roles: list[str]) -> list[str]:
    if len(set(roles)) != len(roles):
        raise ValueError("each role once")
    return roles


Roles = Annotated[
    list[MemberRole],
    Field(min_length=1, max_length=5, examples=[["approver"]]),
    AfterValidator(_once_each),
]


class MemberIn(Body):
    """A person to invite."""

    name: Name = Field(examples=["Anna 安娜"])
    roles: Roles


class RolesIn(Body):
    """What a member may do from now on."""

    roles: Roles


class AcceptIn(Body):
    """An invitation, with the public keys of the person who accepts it."""

    invitation: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")] = Field(
        examples=["0" * 43], description="The secret that the invitation's answer showed once"
    )
    name: Name = Field("first client", description="What to call this client")
    jwks: Jwks
    dpop_bound_access_tokens: bool = Field(
        True, description="As of POST /v1/organisations/ID/clients"
    )


class MemberOut(Body):
    """A person of an organisation. The name is told to that organisation and the operator only."""

    id: str
    organisation_id: str
    name: str | None
    roles: list[str]
    status: Literal["invited", "active", "removed"]
    invitation_expires_at: str | None
    created_at: str


class InvitedOut(Body):
    """A member to be, and the secret to give them: null where this repeats an earlier request."""

    member: MemberOut
    invitation: str | None


class JoinedOut(Body):
    """A member who has joined, and their first client."""

    member: MemberOut
    client: ClientOut


class OrganisationNames(Body):
    """The organisation that the caller belongs to."""

    id: str
    name_en: str
    name_zh: str
    roles: list[str]


class MeOut(Body):
    """Who calls, and what this token may. `sight`: whose affairs beside its own it may read."""

    client: ClientOut
    member: MemberOut | None
    organisation: OrganisationNames
    scopes: list[str]
    sight: Literal["all"] | list[str]


def router(ledger: Ledger, participants: Participants) -> APIRouter:
    """Return the routes of members."""
    routes = APIRouter(prefix="/v1", tags=["members"], route_class=JSONRoute)
    any_role = caller_with("participants")
    manager = caller_with("members operate")

    @routes.post(
        "/organisations/{org_id}/members",
        status_code=201,
        responses=problems(400, 401, 403, 404, 409, 415, 422, 503),
    )
    async def post_member(
        org_id: OrgId,
        body: MemberIn,
        caller: Annotated[Caller, manager],
        idempotency_key: IdempotencyKey = None,
    ) -> InvitedOut:
        """Invite a person: an owner into its own organisation, the operator into any.

        The invitation is shown once and lasts seven days; whoever holds it can join.
        """
        member, invitation = await invite_member(
            ledger,
            participants,
            caller,
            org_id,
            name=body.name,
            roles=frozenset(body.roles),
            idempotency_key=idempotency_key,
        )
        return InvitedOut(member=_member_out(member, caller), invitation=invitation)

    @routes.get("/organisations/{org_id}/members", responses=problems(401, 403, 404, 422, 503))
    async def get_members(org_id: OrgId, caller: Annotated[Caller, any_role]) -> Page[MemberOut]:
        """List an organisation's members, those removed too, on one page."""
        readable(caller, org_id)
        await participants.organisation(org_id)
        found = await participants.list_members(org_id)
        return Page(items=[_member_out(member, caller) for member in found])

    @routes.get("/members/{member_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_member(member_id: MemberId, caller: Annotated[Caller, any_role]) -> MemberOut:
        """Show a member of your own organisation, or of one that you may read about."""
        member = await participants.member(member_id)
        if not caller.reads(member.org_id):
            raise NotFound("member_unknown", "No such member.")
        return _member_out(member, caller)

    @routes.put("/members/{member_id}", responses=problems(400, 401, 403, 404, 409, 415, 422, 503))
    async def put_member(
        member_id: MemberId, body: RolesIn, caller: Annotated[Caller, manager]
    ) -> MemberOut:
        """Give a member other roles (owner, or operator)."""
        roles = frozenset(body.roles)
        changed = await set_member_roles(ledger, participants, caller, member_id, roles)
        return _member_out(changed, caller)

    @routes.post("/members/{member_id}/remove", responses=problems(401, 403, 404, 409, 422, 503))
    async def post_remove(member_id: MemberId, caller: Annotated[Caller, manager]) -> MemberOut:
        """Remove a member: their clients are disabled, their name is erased (owner, or operator).

        An invitation that was not used yet is void.
        """
        removed = await remove_member(ledger, participants, caller, member_id)
        return _member_out(removed, caller)

    @routes.post(
        "/invitations/accept", status_code=201, responses=problems(400, 404, 409, 415, 422, 503)
    )
    async def post_accept(body: AcceptIn, idempotency_key: IdempotencyKey = None) -> JoinedOut:
        """Join by an invitation, with public keys of your own: no token, the secret is enough."""
        member, client = await accept_invitation(
            ledger,
            participants,
            invitation=body.invitation,
            client_name=body.name,
            jwks=read_jwks(body.jwks),
            profile=Profile(dpop_bound=body.dpop_bound_access_tokens),
            idempotency_key=idempotency_key,
        )
        return JoinedOut(member=_member_out(member), client=client_out(client))

    @routes.get("/me", responses=problems(401, 403, 422, 503))
    async def get_me(
        caller: Annotated[Caller, caller_with(None, own_affairs=True)],
    ) -> MeOut:
        """Who am I here, and what may I do with this token?"""
        organisation = await participants.organisation(caller.org_id)
        member = await participants.member(caller.member_id) if caller.member_id else None
        roles = member.roles if member is not None else None
        sight = (await participants.sight(organisation, roles, now_ms())).org_ids
        return MeOut(
            client=client_out(await participants.client(caller.client_id)),
            member=_member_out(member) if member is not None else None,
            organisation=OrganisationNames(
                id=organisation.id,
                name_en=organisation.name_en,
                name_zh=organisation.name_zh,
                roles=sorted(organisation.roles),
            ),
            scopes=sorted(caller.scopes),
            sight="all" if sight is None else sorted(sight),
        )

    return routes


def _member_out(member: Member, caller: Caller | None = None) -> MemberOut:
    """Return a member as the caller may see them; None is the person themself."""
    told = caller is None or caller.org_id == member.org_id or caller.may("operator")
    waiting = member.status == "invited"
    return MemberOut(
        id=member.id,
        organisation_id=member.org_id,
        name=member.name if told else None,
        roles=sorted(member.roles),
        status=member.status,
        invitation_expires_at=rfc3339(member.invitation_expires_ms) if waiting else None,
        created_at=rfc3339(member.created_ms),
    )
