"""Token introspection (RFC 7662), and its answer as a signed JWT (RFC 9701).

For connectors and programs that would rather ask than verify. Who may ask about a token: the client
that has it, clients of the platform under whose offering its grant is, and the operator. To anybody
else, as for every token that is not good just now, it is `{"active": false}` and no more.
"""

import re
from collections.abc import Callable
from typing import Any

from exchange.clock import now_ms
from exchange.formats.jws import sign_jws
from exchange.formats.tokens import (
    ApiToken,
    GrantToken,
    TokenRefused,
    verify_api_token,
    verify_grant_token,
)
from exchange.oauth.keys import TokenKeys
from exchange.oauth.model import Access, Party
from exchange.oauth.party import load_party
from exchange.oauth.revoke import RevokedTokens
from exchange.participants.credentials import credential_names
from exchange.participants.model import scopes_left, scopes_of
from exchange.participants.store import Participants
from exchange.settings import Settings

MEDIA_TYPE = "application/token-introspection+jwt"
TYPE = "token-introspection+jwt"
INACTIVE: dict[str, Any] = {"active": False}
_JSON = ("application/json", "application/*", "*/*")
_QUALITY = re.compile(r"[01](?:\.[0-9]{0,3})?")


def wants_jwt(accept: str) -> bool:
    """Whether an Accept header names the JWT, and would not rather have JSON (RFC 9701 section 4).

    By the qualities of RFC 9110 section 12.5.1; one that cannot be read is none.
    """
    liked: dict[str, float] = {}
    for each in accept.split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                known = _QUALITY.fullmatch(value.strip())
                quality = min(float(value), 1.0) if known is not None else 0.0
        liked[name] = quality
    jwt = liked.get(MEDIA_TYPE, 0.0)
    json = next((liked[name] for name in _JSON if name in liked), 0.0)
    return jwt > 0 and jwt >= json


class Introspection:
    """Says what a token is good for just now, by the records of today."""

    def __init__(
        self,
        keys: TokenKeys,
        settings: Settings,
        participants: Participants,
        access: Access,
        revoked: RevokedTokens,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._keys, self._settings, self._participants = keys, settings, participants
        self._access, self._revoked, self._clock = access, revoked, clock

    def read(self, token: str) -> ApiToken | GrantToken | None:
        """Return a token that this exchange signed and whose time is not over."""
        settings, now = self._settings, self._clock() / 1000
        options: Any = {"issuer": settings.issuer_url, "now": now}
        try:
            keys = self._keys.public
            return verify_api_token(token, keys, audience=settings.issuer_url, **options)
        except TokenRefused as refused:
            if refused.code not in ("token_audience_wrong", "token_kind_wrong"):
                return None
        try:
            return verify_grant_token(token, keys, audience=settings.connector_url, **options)
        except TokenRefused:
            return None

    async def answer(self, asker: Party, token: str) -> dict[str, Any]:
        """Return what section 2.2 says."""
        known = self.read(token)
        if known is None or known.jti in self._revoked:
            return INACTIVE
        party = await load_party(self._participants, known.client_id, fresh=True)
        if party is None or party.client.status != "active":
            return INACTIVE
        if known.client_key is not None and known.client_key not in credential_names(party.client):
            return INACTIVE
        if party.organisation.id != known.org_id or (
            party.member is not None and party.member.status != "active"
        ):
            return INACTIVE
        if isinstance(known, GrantToken):
            return await self._of_grant(asker, party, known)
        if asker.client.id != known.client_id and not asker.operates:
            return INACTIVE
        allowed = scopes_of(party.organisation.roles, party.member_roles)
        scopes = known.scopes & scopes_left(allowed, party.organisation.status)
        if not scopes:
            return INACTIVE
        return {
            **self._common(known, self._settings.issuer_url),
            "scope": " ".join(sorted(scopes)),
        }

    async def _of_grant(self, asker: Party, party: Party, known: GrantToken) -> dict[str, Any]:
        grant = await self._access.standing(known.grant_id)
        if grant is None or grant.client_id != known.client_id or grant.status != "active":
            return INACTIVE
        is_theirs = asker.organisation.id == grant.provider_id
        if not (asker.client.id == known.client_id or is_theirs or asker.operates):
            return INACTIVE
        return {
            **self._common(known, self._settings.connector_url),
            "scope": f"grant:{known.grant_id}",
            "grant_id": known.grant_id,
            "authorization_details": [dict(each) for each in known.authorization_details],
        }

    def _common(self, known: ApiToken | GrantToken, audience: str) -> dict[str, Any]:
        bound = {} if known.jkt is None else {"cnf": {"jkt": known.jkt}}
        return {
            "active": True,
            "iss": self._settings.issuer_url,
            "aud": audience,
            "sub": known.client_id,
            "client_id": known.client_id,
            "org_id": known.org_id,
            "jti": known.jti,
            "iat": known.issued,
            "exp": known.expires,
            "token_type": "Bearer" if known.jkt is None else "DPoP",
            **bound,
            **({} if known.client_key is None else {"client_key": known.client_key}),
        }

    def signed(self, asker: Party, answer: dict[str, Any]) -> str:
        """Return the answer as a JWT for the asker alone (RFC 9701 section 5)."""
        key, kid = self._keys.signing
        claims = {
            "iss": self._settings.issuer_url,
            "aud": asker.client.id,
            "iat": self._clock() // 1000,
            "token_introspection": answer,
        }
        return sign_jws(key, {"alg": "ES256", "kid": kid, "typ": TYPE}, claims)
