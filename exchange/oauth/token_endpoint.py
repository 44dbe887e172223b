"""A token request from form to token, step by step (RFC 6749 section 4.4).

1. read the assertion, which nothing has verified yet;
2. load the client and the organisation that it names;
3. Authlib's core: grant type and authentication;
4. terms: of an API token by the roles, of a grant token by asking `access/`, anew each time;
5. spend the assertion, on condition that every row read is still as it was;
6. sign and answer.

A client that was authenticated has spent its assertion, whatever the answer; an answer of 503 alone
spends nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from exchange.clock import now_ms
from exchange.errors import BadInput, ExchangeError, NotFound, Unavailable
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Met, RowKey, Stale, Write
from exchange.oauth.access_token import api_terms, grant_terms, issue
from exchange.oauth.assertion import ReceivedAssertion, VerifiedAssertion, read_assertion
from exchange.oauth.keys import TokenKeys
from exchange.oauth.model import ApiScopes, AuthorizeGrant, NotAuthenticated, Party, Refused, Terms
from exchange.oauth.scope import parse_scope
from exchange.oauth.server import TokenRequest, TokenServer
from exchange.participants.store import CLIENTS, MEMBERS, ORGANISATIONS, Participants
from exchange.settings import Settings

PATH = "/oauth/token"


class TokenEndpoint:
    """Answers token requests; holds no state of its own."""

    def __init__(
        self,
        keys: TokenKeys,
        settings: Settings,
        participants: Participants,
        ledger: Ledger,
        authorize_grant: AuthorizeGrant,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        issuer = settings.issuer_url
        self._server = TokenServer(
            issuer, lambda party, terms, now: issue(keys, party, terms, issuer=issuer, now_ms=now)
        )
        self._uri = issuer + PATH
        self._settings, self._participants, self._ledger = settings, participants, ledger
        self._authorize_grant, self._clock = authorize_grant, clock

    async def answer(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Return the successful answer (section 5.1); raises Refused."""
        received = read_assertion(form)  # 1.
        try:
            for fresh in (False, True, True):
                try:
                    return await self._attempt(form, received, fresh=fresh)
                except NotAuthenticated:
                    if fresh:
                        raise
                except Stale as stale:  # whoever shares these caches reads anew, `access/` too
                    self._participants.drop([row_id for _table, row_id in stale.rows])
        except Unavailable as error:
            raise _unavailable(error.detail) from error
        raise _unavailable("What the answer rests on keeps changing.")

    async def _attempt(
        self, form: Mapping[str, str], received: ReceivedAssertion, *, fresh: bool
    ) -> dict[str, Any]:
        party = await self._load(received.client_id, fresh=fresh)  # 2.
        request = TokenRequest(self._uri, form, received, party, self._clock())
        proof = self._server.begin(request)  # 3.
        terms: Terms | Refused
        reads: Mapping[RowKey, int] = {}
        try:
            terms, reads = await self._terms(form.get("scope"), proof.party, request.now_ms)  # 4.
        except Refused as refusal:
            terms = refusal
        await self._spend(proof, reads)  # 5.
        if isinstance(terms, Refused):
            raise terms
        return self._server.finish(request, terms)  # 6.

    async def _load(self, client_id: str, *, fresh: bool) -> Party | None:
        client = await self._participants.clients.get(client_id, fresh=fresh)
        if client is None:
            return None
        organisation = await self._participants.organisations.get(client.org_id, fresh=fresh)
        if organisation is None:
            return None
        if client.member_id is None:
            return Party(client, organisation)
        member = await self._participants.members.get(client.member_id, fresh=fresh)
        return Party(client, organisation, member) if member is not None else None

    async def _terms(
        self, scope: str | None, party: Party, now: int
    ) -> tuple[Terms, Mapping[RowKey, int]]:
        who = party.organisation
        asked = parse_scope(scope, who.roles, party.member_roles, who.status)
        if isinstance(asked, ApiScopes):
            return api_terms(asked, self._settings), {}
        try:
            grant = await self._authorize_grant(party.client, party.organisation, asked.grant_id)
        except Unavailable:
            raise
        except (NotFound, BadInput) as error:
            raise Refused("invalid_scope", error.detail) from error
        except ExchangeError as error:  # Denied, Conflict, and whatever else says no
            reasons = {name: error.members.get(name, []) for name in ("reasons", "remedies")}
            words = " ".join(filter(None, (error.detail, error.hint)))
            raise Refused("access_denied", words, members=reasons) from error
        return grant_terms(asked, grant, self._settings, now), grant.reads

    async def _spend(self, proof: VerifiedAssertion, reads: Mapping[RowKey, int]) -> None:
        party = proof.party
        own: dict[RowKey, int] = {
            (CLIENTS, party.client.id): party.client.rev,
            (ORGANISATIONS, party.organisation.id): party.organisation.rev,
        }
        if party.member is not None:
            own[(MEMBERS, party.member.id)] = party.member.rev
        torn = [key for key, rev in own.items() if reads.get(key, rev) != rev]
        if torn:  # the client was authenticated and the grant authorized on different states
            raise Stale([(table.name, row_id) for table, row_id in torn])
        write = Write(once=[proof.once], reads={**reads, **own})
        if isinstance(await self._ledger.commit(write), Met):
            raise Refused("invalid_client", "This assertion was used before: make a new one.")


def _unavailable(detail: str) -> Refused:
    return Refused("temporarily_unavailable", detail, status=503, headers={"Retry-After": "1"})
