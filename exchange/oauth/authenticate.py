"""Who calls an API route: an API token, and the records of today."""

from collections.abc import Callable

from exchange.clock import now_ms
from exchange.errors import Unauthenticated
from exchange.formats.tokens import KeySet, TokenRefused, verify_api_token
from exchange.http import Caller
from exchange.participants.model import Client, Member, scopes_left, scopes_of
from exchange.participants.store import Participants
from exchange.settings import Settings

RENEW = "POST /oauth/token gives a new one."


class Authenticator:
    """Turns a received token into the caller; the app's `authenticate`."""

    def __init__(
        self,
        keys: KeySet,
        settings: Settings,
        participants: Participants,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._keys, self._participants, self._clock = keys, participants, clock
        self._issuer = settings.issuer_url

    async def __call__(self, token: str) -> Caller:
        """Return the caller; raises Unauthenticated.

        Roles and what they allow come from the record: a token never outlives either.
        """
        try:
            known = verify_api_token(
                token,
                self._keys,
                issuer=self._issuer,
                audience=self._issuer,
                now=self._clock() / 1000,
            )
        except TokenRefused as error:
            detail = f"The token is refused: {error.detail}."
            raise Unauthenticated(error.code, detail, hint=RENEW) from error
        client = await self._participants.clients.get(known.client_id)
        if client is None or client.org_id != known.org_id or client.status != "active":
            raise Unauthenticated("client_disabled", "The token's client is disabled.")
        organisation = await self._participants.organisations.get(client.org_id)
        if organisation is None:
            raise Unauthenticated("client_disabled", "The token's organisation is gone.")
        member = await self._member(client)
        member_roles = member.roles if member is not None else None
        allowed = scopes_of(organisation.roles, member_roles)
        scopes = known.scopes & scopes_left(allowed, organisation.status)
        is_suspended = organisation.status == "suspended"
        sight = await self._participants.sight(organisation, member_roles, self._clock())
        return Caller(
            client.id,
            organisation.id,
            organisation.roles,
            scopes,
            client.rev,
            client.member_id,
            sight.org_ids,
            member.rev if member is not None else None,
            member_roles or frozenset(),
            is_suspended=is_suspended,
            engagements=sight.engagements,
        )

    async def _member(self, client: Client) -> Member | None:
        """Return the person whose client it is, who must still be there."""
        if client.member_id is None:
            return None
        member = await self._participants.members.get(client.member_id)
        if member is None or member.org_id != client.org_id or member.status != "active":
            raise Unauthenticated("member_removed", "The person whose client this is was removed.")
        return member
