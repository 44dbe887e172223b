"""The token endpoint's walk (RFC 6749 section 3.2), from a form to an access token or a refusal.

    1. read            the form, who claims to ask; nothing of it verified
    2. load            the client, its organisation, its person, each with its rev
    3. authenticate    private_key_jwt; where it was registered so: a secret, or a JWT that is the
                       grant as well (RFC 7523, RFC 6749)
    4. bind            the DPoP proof, where one is sent or due (RFC 9449)
    5. terms           API scopes; or one grant, of which the policy is asked again; or an offering,
                       asked for as POST /v1/access-requests does: permitted, denied or pending
    6. spend           the assertion and the proof, once for ever, with every rev that was read;
                       where a request for access was written, they went along with it; from here
                       on it counts as this client's, before as a failure (limits.py)
    7. issue           only then

A stale read starts the walk again, past all caches. What does not authenticate by cached rows is
loaded once more, so a key that another worker registered works at once. Nothing is spent before
step 5, nor when the answer is 503; every other answer spends the assertion, refusals too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from exchange.clock import now_ms
from exchange.errors import Unavailable
from exchange.formats.shown import Nonces
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Met, Once, RowKey, Stale
from exchange.oauth.access_token import api_terms, grant_terms, issue
from exchange.oauth.asked import check_resource, parse_asked
from exchange.oauth.assertion import read_assertion
from exchange.oauth.dpop import bind
from exchange.oauth.jwt_bearer import GRANT_TYPE as JWT_BEARER
from exchange.oauth.jwt_bearer import read_grant
from exchange.oauth.keys import TokenKeys
from exchange.oauth.limits import EndpointLimits
from exchange.oauth.model import (
    Access,
    ApiScopes,
    NotAuthenticated,
    OneGrant,
    OneOffering,
    Party,
    Refused,
    Terms,
)
from exchange.oauth.party import load_party, own_reads, spend, used_before
from exchange.oauth.secret import SecretFits, read_basic, read_post
from exchange.oauth.server import Received, ReceivedAny, TokenRequest, TokenServer
from exchange.oauth.told import refusal_of, refused_by, told_of, unavailable
from exchange.participants.store import Participants
from exchange.settings import Settings

PATH = "/oauth/token"
FAILURES = frozenset({"invalid_client", "invalid_grant", "invalid_dpop_proof"})


@dataclass(slots=True)
class Visitor:
    """Whom a request claims to come from, and whether that was proved: for the operator's log."""

    client_id: str | None = None
    is_proved: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """A token request as it came: the form, and the headers that count."""

    form: Mapping[str, str]
    authorization: str | None = field(default=None, repr=False)
    proofs: Sequence[str] = ()
    lang: str = "en"
    address: str = ""  # from where it came, as the connection says
    visitor: Visitor = field(default_factory=lambda: Visitor())


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What will be answered; `reads` is what it rests on, `is_spent` whether it is committed."""

    terms: Terms | Refused
    reads: Mapping[RowKey, int] = field(default_factory=dict)
    is_spent: bool = False


class TokenEndpoint:
    """Answers token requests; holds no state of its own."""

    def __init__(
        self,
        keys: TokenKeys,
        nonces: Nonces,
        settings: Settings,
        participants: Participants,
        ledger: Ledger,
        access: Access,
        fits: SecretFits,
        limits: EndpointLimits,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._limits = limits
        issuer = settings.issuer_url
        self._server = TokenServer(
            issuer,
            lambda proved, terms, jkt, now: issue(
                keys, proved, terms, jkt, issuer=issuer, now_ms=now
            ),
            fits,
        )
        self._uri = issuer + PATH
        self._nonces, self._settings = nonces, settings
        self._participants, self._ledger = participants, ledger
        self._access, self._clock = access, clock

    def nonce(self) -> str:
        """Return a nonce for the next DPoP proof, here or at a resource of this server."""
        return self._nonces.make(self._clock() / 1000)

    async def answer(self, incoming: Incoming) -> dict[str, Any]:
        """Return the successful answer (section 5.1); raises Refused."""
        try:
            return await self._answer(incoming)
        except Refused as refusal:
            if refusal.error in FAILURES:
                self._limits.fail(incoming.address)
            raise

    async def _answer(self, incoming: Incoming) -> dict[str, Any]:
        received: ReceivedAny  # 1.
        if incoming.form.get("grant_type") == JWT_BEARER:
            received = read_grant(incoming.form, incoming.authorization)
            incoming = replace(incoming, form=received.form)
        else:
            received = read_credentials(incoming)
        incoming.visitor.client_id = received.client_id
        try:
            for fresh in (False, True, True):
                try:
                    return await self._attempt(incoming, received, fresh=fresh)
                except NotAuthenticated:
                    if fresh or self._limits.is_over(incoming.address):
                        raise
                except Stale as stale:  # whoever shares these caches reads anew, `access/` too
                    self._participants.drop([row_id for _table, row_id in stale.rows])
        except Unavailable as error:
            raise unavailable(error.detail) from error
        raise unavailable("What the answer rests on keeps changing.")

    async def _attempt(
        self, incoming: Incoming, received: ReceivedAny, *, fresh: bool
    ) -> dict[str, Any]:
        party = await load_party(self._participants, received.client_id, fresh=fresh)  # 2.
        request = TokenRequest(self._uri, incoming.form, received, party, self._clock())
        proved = self._server.begin(request)  # 3.
        incoming.visitor.is_proved = True
        if not fresh:
            self._limits.admit(proved.party.client.id)
        now = request.now_ms
        bound = bind(  # 4.
            incoming.proofs, proved.party.client, self._nonces, url=self._uri, now=now / 1000
        )
        once = [*proved.once, *([bound.once] if bound is not None else ())]
        try:
            outcome = await self._outcome(incoming, proved.party, once, now, fresh=fresh)  # 5.
        except Refused as refusal:
            outcome = _Outcome(refusal)
        if not outcome.is_spent:
            await spend(self._ledger, proved.party, once, dict(outcome.reads))  # 6.
        self._limits.count(proved.party.client.id)
        if isinstance(outcome.terms, Refused):
            raise outcome.terms
        return self._server.finish(request, outcome.terms, bound.jkt if bound else None)  # 7.

    async def _outcome(
        self, incoming: Incoming, party: Party, once: Sequence[Once], now: int, *, fresh: bool
    ) -> _Outcome:
        asked = parse_asked(incoming.form, party)
        audience = self._settings.connector_url
        if isinstance(asked, ApiScopes):
            audience = self._settings.issuer_url
        check_resource(incoming.form.get("resource"), audience)
        if isinstance(asked, ApiScopes):
            return _Outcome(api_terms(asked, self._settings))
        if isinstance(asked, OneOffering):
            return await self._asked_for(incoming, party, asked, once, now, fresh=fresh)
        return await self._granted(party, asked, now, incoming.lang, fresh=fresh)

    async def _granted(
        self, party: Party, asked: OneGrant, now: int, lang: str, *, fresh: bool, **told: Any
    ) -> _Outcome:
        with refused_by(asked, lang):
            grant = await self._access.authorize(
                party.client, party.organisation, asked.grant_id, fresh=fresh
            )
        terms = grant_terms(asked, grant, self._settings, now)
        return _Outcome(told_of(terms, told), grant.reads)

    async def _asked_for(
        self,
        incoming: Incoming,
        party: Party,
        asked: OneOffering,
        once: Sequence[Once],
        now: int,
        *,
        fresh: bool,
    ) -> _Outcome:
        with refused_by(asked, incoming.lang):
            decided = await self._access.ask(party, asked, once, own_reads(party), fresh=fresh)
        if isinstance(decided, Met):
            raise used_before(decided)
        if decided.grant_id is None:
            refusal = refusal_of(decided, self._settings.issuer_url, incoming.lang)
            return _Outcome(refusal, is_spent=decided.is_spent)
        one = OneGrant(decided.grant_id, asked.kind, asked.ask.actions)
        told = {"grant_id": decided.grant_id, "access_request": decided.request_id}
        if decided.grant is None:  # it stood before: the policy is asked again
            return await self._granted(party, one, now, incoming.lang, fresh=fresh, **told)
        terms = grant_terms(one, decided.grant, self._settings, now)
        if decided.receipt is not None:
            told["receipt"] = decided.receipt
        reads = decided.grant.reads
        return _Outcome(told_of(terms, told), reads, is_spent=decided.is_spent)


def read_credentials(incoming: Incoming) -> Received:
    """Read who claims to ask, and how they mean to prove it; raises Refused."""
    if incoming.authorization is not None:
        return read_basic(incoming.authorization, incoming.form)
    if "client_secret" in incoming.form:
        return read_post(incoming.form)
    return read_assertion(incoming.form)
