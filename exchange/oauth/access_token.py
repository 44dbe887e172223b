"""Access tokens as JWTs (RFC 9068): what they say, and the answer that carries them."""

import secrets
from collections.abc import Mapping
from typing import Any

from exchange.clock import rfc3339
from exchange.formats.tokens import GRANT_SCOPE
from exchange.oauth.keys import TokenKeys
from exchange.oauth.model import ApiScopes, GrantForToken, OneGrant, Refused, Terms, Verified
from exchange.settings import Settings


def api_terms(asked: ApiScopes, settings: Settings) -> Terms:
    """Terms of an API token: its audience is the exchange itself."""
    scope = " ".join(sorted(asked.scopes))
    return Terms(settings.issuer_url, scope, settings.api_token_seconds)


def grant_terms(asked: OneGrant, grant: GrantForToken, settings: Settings, now_ms: int) -> Terms:
    """Terms of a grant token: for one connector and one grant, never longer than the grant.

    Its `authorization_details` are what was asked for, of what the grant and the policy allow.
    Raises Refused for more than that.
    """
    if grant.grant_id != asked.grant_id:
        raise RuntimeError("another grant was authorized than the one asked for")
    lifetime = min(settings.grant_token_seconds, grant.ends_ms // 1000 - now_ms // 1000)
    if lifetime <= 0:
        raise Refused("access_denied", "The grant has ended.")
    details = [_narrowed(each, asked) for each in grant.authorization_details]
    claims = {
        "grant_id": grant.grant_id,
        "authorization_details": details,
        **grant.status,
    }
    # A grant that stands may last for less than was asked for just now: the answer says until when.
    told = {"authorization_details": details, "grant_ends_at": rfc3339(grant.ends_ms)}
    return Terms(settings.connector_url, GRANT_SCOPE + grant.grant_id, lifetime, claims, told)


def _narrowed(granted: Mapping[str, Any], asked: OneGrant) -> dict[str, Any]:
    if asked.kind not in (None, granted["type"]):
        raise Refused("invalid_authorization_details", f"The grant is of a {granted['type']}.")
    if asked.actions is None:
        return dict(granted)
    if not set(asked.actions) <= set(granted["actions"]):
        allowed = ", ".join(granted["actions"])
        raise Refused("invalid_authorization_details", f"The grant allows: {allowed}.")
    return {**granted, "actions": list(asked.actions)}


def issue(
    keys: TokenKeys, proved: Verified, terms: Terms, jkt: str | None, *, issuer: str, now_ms: int
) -> dict[str, Any]:
    """Return the token endpoint's answer (RFC 6749 section 5.1) with a signed token.

    It is bound to the key whose thumbprint is `jkt` (RFC 9449 section 6.1), if to any, and ends
    with the key or the secret that got it.
    """
    now, party = now_ms // 1000, proved.party
    claims = {
        "iss": issuer,
        "sub": party.client.id,
        "client_id": party.client.id,
        "aud": terms.audience,
        "exp": now + terms.lifetime,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "org_id": party.organisation.id,
        "client_key": proved.credential,
        "scope": terms.scope,
        **terms.claims,
    }
    if jkt is not None:
        claims["cnf"] = {"jkt": jkt}
    return {
        "access_token": keys.sign(claims),
        "token_type": "Bearer" if jkt is None else "DPoP",
        "expires_in": terms.lifetime,
        "scope": terms.scope,
        **terms.told,
    }
