"""The room of access behind the token endpoint's door."""

from collections.abc import Mapping, Sequence
from typing import Any

from exchange.access.ask_for_token import ask_for_token
from exchange.access.authorize_grant import GrantTerms, authorize_grant
from exchange.access.request_access import Desk
from exchange.clock import now_ms
from exchange.http import Caller
from exchange.ledger.write import Met, Once, RowKey
from exchange.oauth.model import Decided, GrantForToken, OneOffering, Party, Standing
from exchange.oauth.standing_asks import Found, StandingAsks
from exchange.oauth.status_claim import status_claim
from exchange.participants.model import Client, Organisation, scopes_of
from exchange.status.model import list_uri


class DeskAccess:
    """`exchange.oauth.model.Access` over the desk."""

    def __init__(self, desk: Desk, issuer: str) -> None:
        self._desk, self._issuer = desk, issuer
        self._asks = StandingAsks()

    async def authorize(
        self, client: Client, organisation: Organisation, grant_id: str, *, fresh: bool
    ) -> GrantForToken:
        """Ask the policy again whether a token may be given for a grant."""
        terms = await authorize_grant(self._desk, client, organisation, grant_id, fresh=fresh)
        return self._for_token(terms)

    async def standing(self, grant_id: str) -> Standing | None:
        """Return how a grant stands just now; None for an unknown one."""
        grant = await self._desk.store.grant(grant_id)
        if grant is None:
            return None
        return Standing(grant.client_id, grant.provider_id, grant.state(now_ms()))

    async def ask(
        self,
        party: Party,
        asked: OneOffering,
        once: Sequence[Once],
        reads: Mapping[RowKey, int],
        *,
        fresh: bool,
    ) -> Decided | Met:
        """Ask for access in one walk, as POST /v1/access-requests does.

        Where the same ask found a grant before, that is judged anew and no walk is needed.
        """
        if not fresh and (stands := await self._known(party, asked)) is not None:
            return stands
        came: Any = await ask_for_token(
            self._desk, caller_of(party), asked.kind, asked.ask, once, reads, fresh=fresh
        )
        if isinstance(came, Met):
            return came
        answer = came.answer
        found = None
        if answer.grant is not None and answer.grant.status == "active":
            found = Found(answer.grant.id, answer.request_id, came.offering_rev)
        self._asks.note(party.client.id, asked, found)
        return Decided(
            is_spent=came.is_spent,
            request_id=answer.request_id,
            status=answer.status,
            reasons=answer.reasons,
            remedies=answer.remedies,
            grant_id=answer.grant.id if answer.grant is not None else None,
            grant=self._for_token(came.terms) if came.terms is not None else None,
            receipt=answer.receipt.encode() if answer.receipt is not None else None,
            closing=came.closing,
        )

    async def _known(self, party: Party, asked: OneOffering) -> Decided | None:
        found = self._asks.find(party.client.id, asked)
        if found is None:
            return None
        offering = await self._desk.catalog.offerings.get(asked.ask.offering_id)
        if offering is None or offering.rev != found.offering_rev:
            return None
        grant = await self.authorize(party.client, party.organisation, found.grant_id, fresh=False)
        return Decided(False, found.request_id, "permitted", (), (), found.grant_id, grant)

    def _for_token(self, terms: GrantTerms) -> GrantForToken:
        uri = list_uri(self._issuer, terms.provider_id)
        return GrantForToken(
            terms.grant_id,
            terms.offering_id,
            terms.ends_ms,
            terms.authorization_details,
            terms.reads,
            status_claim(uri, terms.status_index),
        )


def caller_of(party: Party) -> Caller:
    """Return the party as the verbs know who calls: a client that proved itself just now."""
    client, organisation, member = party.client, party.organisation, party.member
    return Caller(
        client.id,
        organisation.id,
        organisation.roles,
        scopes_of(organisation.roles, party.member_roles),
        client.rev,
        client.member_id,
        member_rev=member.rev if member is not None else None,
        member_roles=party.member_roles or frozenset(),
        is_suspended=organisation.status == "suspended",
    )
