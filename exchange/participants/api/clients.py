"""Routes of organisations' clients: parse, call one verb, answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from exchange.clock import now_ms
from exchange.errors import BadInput, NotFound
from exchange.http import (
    Caller,
    Cursor,
    IdempotencyKey,
    JSONRoute,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    problems,
)
from exchange.ledger.ledger import Ledger
from exchange.participants.api.client_documents import (
    ClientIn,
    ClientInvitationIn,
    ClientInvitationOut,
    ClientInvitedOut,
    ClientMadeOut,
    ClientOut,
    KeyIn,
    SecretOut,
    client_out,
    invitation_out,
    made_out,
    read_jwks,
)
from exchange.participants.api.organisations import BODY_PATTERN, OrgId, readable
from exchange.participants.change_client import add_key, remove_key, replace_secret
from exchange.participants.decide_client import decide_client
from exchange.participants.invite_client import invite_client, withdraw_client_invitation
from exchange.participants.invite_member import may_manage
from exchange.participants.model import BY_SECRET, ClientStatus, Profile
from exchange.participants.register_client import disable_client, register_client
from exchange.participants.secrets import SecretKey, make_secret
from exchange.participants.store import Participants

ClientId = Annotated[str, Path(pattern=f"^cli_{BODY_PATTERN}$", examples=["cli_" + "0" * 26])]
InvitationId = Annotated[str, Path(pattern=f"^inv_{BODY_PATTERN}$", examples=["inv_" + "0" * 26])]
Thumbprint = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9_-]{43}$", examples=["0" * 43], description="RFC 7638")
]


def router(
    ledger: Ledger, participants: Participants, secret_key: SecretKey, page_items: int
) -> APIRouter:
    """Return the routes of clients."""
    routes = APIRouter(prefix="/v1", tags=["clients"], route_class=JSONRoute)
    any_role = caller_with("participants")
    operator = caller_with("operate", "operator")
    manager = caller_with("members operate")
    most = min(50, page_items)

    @routes.post(
        "/organisations/{org_id}/clients",
        status_code=201,
        responses=problems(400, 401, 403, 404, 409, 415, 422, 503),
    )
    async def post_client(
        org_id: OrgId,
        body: ClientIn,
        caller: Annotated[Caller, any_role],
        idempotency_key: IdempotencyKey = None,
    ) -> ClientMadeOut:
        """Register a client with its public keys: for your own organisation, or as operator.

        A person's is a client of that person; `program` makes one of the organisation (owners). The
        operator may give one a secret instead, which is shown this once.
        """
        method = body.token_endpoint_auth_method
        jwks = _keys_of(body)
        made = make_secret(secret_key) if method in BY_SECRET else None
        client = await register_client(
            ledger,
            participants,
            caller,
            org_id,
            name=body.name,
            jwks=jwks,
            program=body.program,
            profile=Profile(
                method, body.dpop_bound_access_tokens, made.hash if made is not None else None
            ),
            idempotency_key=idempotency_key,
        )
        return made_out(client, made)

    @routes.get("/organisations/{org_id}/clients", responses=problems(401, 403, 404, 422, 503))
    async def get_clients(org_id: OrgId, caller: Annotated[Caller, any_role]) -> Page[ClientOut]:
        """List an organisation's clients: at most a hundred, so one page."""
        readable(caller, org_id)
        await participants.organisation(org_id)
        return Page(items=[client_out(c) for c in await participants.list_clients(org_id)])

    @routes.get("/clients", responses=problems(400, 401, 403, 422, 503))
    async def get_all_clients(
        caller: Annotated[Caller, any_role],
        status: ClientStatus | None = None,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = most,
    ) -> Page[ClientOut]:
        """List clients of your own and of whom you may read about, such as the `pending` ones."""
        found = await participants.find_clients(
            decode_cursor(cursor), limit + 1, caller.in_sight, status
        )
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[client_out(c) for c in found[:limit]], next=more)

    @routes.get("/clients/{client_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_client(client_id: ClientId, caller: Annotated[Caller, any_role]) -> ClientOut:
        """Show a client of your own organisation, or of one that you may read about."""
        client = await participants.client(client_id)
        if not caller.reads(client.org_id):
            raise NotFound("client_unknown", "No such client.")
        return client_out(client)

    @routes.post("/clients/{client_id}/disable", responses=problems(401, 403, 404, 422, 503))
    async def post_disable(client_id: ClientId, caller: Annotated[Caller, any_role]) -> ClientOut:
        """Disable a client for good: your own, or any as operator."""
        return client_out(await disable_client(ledger, participants, caller, client_id))

    @routes.post("/clients/{client_id}/approve", responses=problems(401, 403, 404, 409, 422, 503))
    async def post_approve_client(
        client_id: ClientId, caller: Annotated[Caller, operator]
    ) -> ClientOut:
        """Let a client that was registered by an invitation get tokens (operator)."""
        decided = await decide_client(ledger, participants, caller, client_id, approve=True)
        return client_out(decided)

    @routes.post("/clients/{client_id}/reject", responses=problems(401, 403, 404, 409, 422, 503))
    async def post_reject(client_id: ClientId, caller: Annotated[Caller, operator]) -> ClientOut:
        """Reject a client that waits for approval, for good (operator)."""
        decided = await decide_client(ledger, participants, caller, client_id, approve=False)
        return client_out(decided)

    @routes.post(
        "/clients/{client_id}/keys",
        responses=problems(400, 401, 403, 404, 409, 415, 422, 503),
    )
    async def post_key(
        client_id: ClientId, body: KeyIn, caller: Annotated[Caller, any_role]
    ) -> ClientOut:
        """Add a public key beside those that a client has, 8 at most; adding it again is no change.

        The client itself, the person whose it is, for a program an owner or the operator.
        """
        key = read_jwks({"keys": [body.jwk]})["keys"][0]
        return client_out(await add_key(ledger, participants, caller, client_id, key))

    @routes.delete(
        "/clients/{client_id}/keys/{thumbprint}",
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def delete_key(
        client_id: ClientId, thumbprint: Thumbprint, caller: Annotated[Caller, any_role]
    ) -> ClientOut:
        """Remove a key, never the last: whatever it signs is refused from now on."""
        return client_out(await remove_key(ledger, participants, caller, client_id, thumbprint))

    @routes.post("/clients/{client_id}/secret", responses=problems(401, 403, 404, 409, 422, 503))
    async def post_secret(client_id: ClientId, caller: Annotated[Caller, any_role]) -> SecretOut:
        """Replace a client's secret (owner, or operator): the old one ends, this is shown once."""
        made = make_secret(secret_key)
        client = await replace_secret(ledger, participants, caller, client_id, made)
        return SecretOut(client=client_out(client), client_secret=made.text)

    @routes.post(
        "/organisations/{org_id}/client-invitations",
        status_code=201,
        responses=problems(400, 401, 403, 404, 409, 415, 422, 503),
    )
    async def post_client_invitation(
        org_id: OrgId,
        body: ClientInvitationIn,
        caller: Annotated[Caller, manager],
        idempotency_key: IdempotencyKey = None,
    ) -> ClientInvitedOut:
        """Invite a program to register by RFC 7591 (owner, or operator): a token, good once.

        It is shown once; whoever holds it can register one client at /oauth/register.
        """
        invitation, token = await invite_client(
            ledger,
            participants,
            caller,
            org_id,
            days=body.days,
            approved=body.approved,
            may_have_secret=body.secrets,
            idempotency_key=idempotency_key,
        )
        out = invitation_out(invitation, now_ms())
        return ClientInvitedOut(invitation=out, initial_access_token=token)

    @routes.get(
        "/organisations/{org_id}/client-invitations",
        responses=problems(400, 401, 403, 404, 422, 503),
    )
    async def get_client_invitations(
        org_id: OrgId,
        caller: Annotated[Caller, caller_with("members operate", own_affairs=True)],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = most,
    ) -> Page[ClientInvitationOut]:
        """List invitations of programs, without their tokens (owner, or operator)."""
        may_manage(caller, org_id)
        await participants.organisation(org_id)
        found = await participants.list_client_invitations(org_id, decode_cursor(cursor), limit + 1)
        now = now_ms()
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[invitation_out(i, now) for i in found[:limit]], next=more)

    @routes.post(
        "/client-invitations/{invitation_id}/withdraw",
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def post_withdraw_client_invitation(
        invitation_id: InvitationId, caller: Annotated[Caller, manager]
    ) -> ClientInvitationOut:
        """Withdraw an invitation of a program that nobody used (owner, or operator)."""
        gone = await withdraw_client_invitation(ledger, participants, caller, invitation_id)
        return invitation_out(gone, now_ms())

    return routes


def _keys_of(body: ClientIn) -> dict[str, Any]:
    """Return the keys to register: none for a client with a secret, else at least one."""
    with_keys = body.token_endpoint_auth_method not in BY_SECRET
    if with_keys == (body.jwks is None):
        raise BadInput(
            "jwks_invalid",
            f"{body.token_endpoint_auth_method} needs jwks."
            if with_keys
            else "A client with a secret has no keys.",
            status=422,
        )
    return read_jwks(body.jwks) if body.jwks is not None else {"keys": []}
