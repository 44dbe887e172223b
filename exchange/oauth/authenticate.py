"""Who calls an API route: an API token, its proof where it is bound, and the records of today."""

from collections.abc import Callable, Container

from exchange.clock import now_ms
from exchange.errors import Unauthenticated
from exchange.formats.dpop import MAX_AGE, Proof, ProofRefused
from exchange.formats.shown import Nonces, Replays, Shown, check_shown
from exchange.formats.tokens import ApiToken, KeySet, TokenRefused, verify_api_token
from exchange.http import Caller
from exchange.ledger.proving import proof_used, prove
from exchange.ledger.write import Once
from exchange.participants.credentials import credential_names
from exchange.participants.model import Client, Member, scopes_left, scopes_of
from exchange.participants.store import Participants
from exchange.presented import Presented
from exchange.settings import Settings

RENEW = "POST /oauth/token gives a new one."


class Authenticator:
    """Turns a presented token into the caller; the app's `authenticate`."""

    def __init__(
        self,
        keys: Callable[[], KeySet],
        nonces: Nonces,
        settings: Settings,
        participants: Participants,
        clock: Callable[[], int] = now_ms,
        revoked: Container[str] = (),
    ) -> None:
        self._revoked = revoked
        self._keys, self._nonces, self._clock = keys, nonces, clock
        self._participants = participants
        self._issuer = settings.issuer_url
        self._replays = Replays()

    def verify(self, presented: Presented) -> tuple[ApiToken, str | None]:
        """Return the verified token, and a nonce where that of its proof grows old.

        Raises Unauthenticated.
        """
        now = self._clock() / 1000
        try:
            known = verify_api_token(
                presented.token,
                self._keys(),
                issuer=self._issuer,
                audience=self._issuer,
                now=now,
            )
        except TokenRefused as error:
            raise Unauthenticated(
                error.code,
                f"The token is refused: {error.detail}.",
                hint=RENEW,
                scheme=presented.scheme,
            ) from error
        if known.jti in self._revoked:
            raise Unauthenticated(
                "token_revoked", "The token was revoked.", hint=RENEW, scheme=presented.scheme
            )
        proof = self._proof(presented, known, now)
        if proof is None:
            prove(None)
            return known, None
        prove(Once(proof.once_key, proof.expires * 1000))
        is_young = self._nonces.is_fresh(proof.nonce, now, MAX_AGE / 2)
        return known, None if is_young else self._nonces.make(now)

    def _proof(self, presented: Presented, known: ApiToken, now: float) -> Proof | None:
        """Judge the proof against the URL that the settings and the path make, never the Host."""
        shown = Shown(
            presented.scheme,
            presented.token,
            presented.proofs,
            presented.method,
            self._issuer + presented.path,
        )
        try:
            return check_shown(shown, known.jkt, now, self._nonces, self._replays)
        except ProofRefused as error:
            if error.code == "dpop_replayed":
                raise proof_used() from error
            is_nonce = error.code == "dpop_nonce_needed"
            raise Unauthenticated(
                error.code,
                f"The DPoP proof is refused: {error.detail}.",
                hint="RFC 9449 says how to send one; GET /.well-known/oauth-authorization-server "
                "says which algorithms may sign it.",
                scheme="bearer" if known.jkt is None else "dpop",
                error="use_dpop_nonce" if is_nonce else "invalid_dpop_proof",
                headers={"DPoP-Nonce": self._nonces.make(now)} if is_nonce else None,
            ) from error

    async def caller(self, known: ApiToken) -> Caller:
        """Return whose a verified token is; raises Unauthenticated.

        Roles and what they allow come from the record: a token never outlives either.
        """
        client = await self._participants.clients.get(known.client_id)
        if client is None or client.org_id != known.org_id or client.status != "active":
            raise Unauthenticated("client_disabled", "The token's client is disabled.")
        if known.client_key is not None and known.client_key not in credential_names(client):
            raise Unauthenticated(
                "client_key_removed", "What got the token is not the client's any more.", hint=RENEW
            )
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
