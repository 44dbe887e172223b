"""Client authentication at the endpoints beside the token endpoint: the same rules, one write."""

from collections.abc import Callable

from exchange.clock import now_ms
from exchange.errors import Unavailable
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Stale
from exchange.oauth.assertion import METHOD, ReceivedAssertion, verify_assertion
from exchange.oauth.jwt_bearer import METHOD as JWT_BEARER
from exchange.oauth.limits import EndpointLimits
from exchange.oauth.model import NotAuthenticated, Party, Refused, Verified
from exchange.oauth.party import load_party, spend
from exchange.oauth.secret import SecretFits, verify_secret
from exchange.oauth.server import Received
from exchange.oauth.token_endpoint import Incoming, read_credentials
from exchange.oauth.told import unavailable
from exchange.participants.store import Participants


class ClientGate:
    """Lets a client in that proves itself, and uses up its assertion."""

    def __init__(
        self,
        issuer: str,
        participants: Participants,
        ledger: Ledger,
        fits: SecretFits,
        limits: EndpointLimits,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._limits = limits
        self._issuer, self._participants, self._ledger = issuer, participants, ledger
        self._fits, self._clock = fits, clock

    async def enter(self, incoming: Incoming) -> Party:
        """Return who asks; raises Refused, and then nothing may be told or done."""
        try:
            return await self._enter(incoming)
        except Refused as refusal:
            if refusal.error == "invalid_client":
                self._limits.fail(incoming.address)
            raise

    async def _enter(self, incoming: Incoming) -> Party:
        received = read_credentials(incoming)
        incoming.visitor.client_id = received.client_id
        try:
            for fresh in (False, True, True):
                try:
                    party = await load_party(self._participants, received.client_id, fresh=fresh)
                    verified = self._verify(received, party)
                    incoming.visitor.is_proved = True
                    if not fresh:
                        self._limits.admit(verified.party.client.id)
                    await spend(self._ledger, verified.party, verified.once)
                    self._limits.count(verified.party.client.id)
                except NotAuthenticated:
                    if fresh or self._limits.is_over(incoming.address):
                        raise
                except Stale as stale:
                    self._participants.drop([row_id for _table, row_id in stale.rows])
                else:
                    return verified.party
        except Unavailable as error:
            raise unavailable(error.detail) from error
        raise unavailable("What the answer rests on keeps changing.")

    def _verify(self, received: Received, party: Party | None) -> Verified:
        if isinstance(received, ReceivedAssertion):
            # One registered for the JWT bearer grant has keys: where there is no grant, what they
            # sign proves it as it proves others.
            by_grant = party is not None and party.client.auth_method == JWT_BEARER
            return verify_assertion(
                received,
                party,
                issuer=self._issuer,
                now_ms=self._clock(),
                method=JWT_BEARER if by_grant else METHOD,
            )
        return verify_secret(received, party, self._fits)
