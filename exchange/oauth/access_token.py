"""Access tokens as JWTs (RFC 9068): what they say, and the answer that carries them."""

import secrets
from typing import Any

from exchange.formats.tokens import GRANT_SCOPE
from exchange.oauth.keys import TokenKeys
from exchange.oauth.model import ApiScopes, GrantForToken, OneGrant, Party, Refused, Terms
from exchange.settings import Settings


def api_terms(asked: ApiScopes, settings: Settings) -> Terms:
    """Terms of an API token: its audience is the exchange itself."""
    scope = " ".join(sorted(asked.scopes))
    return Terms(settings.issuer_url, scope, settings.api_token_seconds)


def grant_terms(asked: OneGrant, grant: GrantForToken, settings: Settings, now_ms: int) -> Terms:
    """Terms of a grant token: for one connector and one grant, never longer than the grant."""
    if grant.grant_id != asked.grant_id:
        raise RuntimeError("another grant was authorized than the one asked for")
    lifetime = min(settings.grant_token_seconds, grant.ends_ms // 1000 - now_ms // 1000)
    if lifetime <= 0:
        raise Refused("access_denied", "The grant has ended.")
    claims = {
        "grant_id": grant.grant_id,
        "authorization_details": [dict(each) for each in grant.authorization_details],
    }
    return Terms(settings.connector_url, GRANT_SCOPE + grant.grant_id, lifetime, claims)


def issue(
    keys: TokenKeys, party: Party, terms: Terms, *, issuer: str, now_ms: int
) -> dict[str, Any]:
    """Return the token endpoint's answer (RFC 6749 section 5.1) with a signed token."""
    now = now_ms // 1000
    claims = {
        "iss": issuer,
        "sub": party.client.id,
        "client_id": party.client.id,
        "aud": terms.audience,
        "exp": now + terms.lifetime,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "org_id": party.organisation.id,
        "scope": terms.scope,
        **terms.claims,
    }
    return {
        "access_token": keys.sign(claims),
        "token_type": "Bearer",
        "expires_in": terms.lifetime,
        "scope": terms.scope,
    }
