"""Access tokens (RFC 9068) and client assertions (RFC 7523) as JSON Web Tokens.

A received token is a `str`, one that was read a `ReceivedJws`; only `verify_…` make an `ApiToken`
or a `GrantToken`. Whether one that is bound to a key comes with its proof, shown.py says. Times
are NumericDates: seconds since 1970, UTC.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from exchange.formats.errors import FormatError
from exchange.formats.jwk import (
    generate_client_key,
    load_private_key,
    load_public_key,
    parse_public_jwks,
    public_jwks,
)
from exchange.formats.jws import (
    MAX_BYTES,
    TokenRefused,
    is_signed_by,
    read_json,
    read_jws,
    sign_jws,
    whole_seconds,
)

__all__ = [
    "ApiToken",
    "GrantToken",
    "KeySet",
    "StatusPlace",
    "TokenRefused",
    "generate_client_key",
    "make_client_assertion",
    "parse_public_jwks",
    "public_jwks",
    "verify_api_token",
    "verify_grant_token",
]

MAX_LIFETIME = 3600
MAX_ASSERTION_LIFETIME = 60
LEEWAY = 30  # how far another machine's clock may be ahead of ours: for iat and nbf, never for exp
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105
GRANT_SCOPE = "grant:"

_VERIFIED_KEPT = 4096


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A verified token for the exchange's own routes; bound to the key `jkt`, if to any."""

    client_id: str
    org_id: str
    scopes: frozenset[str]
    jti: str
    issued: int
    expires: int
    jkt: str | None
    client_key: str | None = None  # of the client, which got it: it ends with that


@dataclass(frozen=True, slots=True)
class StatusPlace:
    """Where a token's status is told: which list, which of its indexes (claim `status`)."""

    uri: str
    index: int


@dataclass(frozen=True, slots=True)
class GrantToken:
    """A verified token for deliveries under one grant; bound to the key `jkt`, if to any."""

    client_id: str
    org_id: str
    grant_id: str
    authorization_details: tuple[Mapping[str, Any], ...]
    jti: str
    issued: int
    expires: int
    jkt: str | None = None
    status: StatusPlace | None = None
    client_key: str | None = None  # of the client, which got it: it ends with that


class KeySet:
    """The exchange's public keys, ES256, by kid. Remembers which tokens' signatures held.

    What is remembered are a token's bytes, never a verdict: claims and time are checked each time.
    """

    def __init__(self, jwks: object) -> None:
        """Read a JWK Set; raises FormatError, also for a key that is not ES256."""
        self._keys: dict[str, ec.EllipticCurvePublicKey] = {}
        for each in parse_public_jwks(jwks)["keys"]:
            key = load_public_key(each)
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise FormatError("access tokens are signed with ES256 only")
            self._keys[each["kid"]] = key
        self.payload = lru_cache(maxsize=_VERIFIED_KEPT)(self._payload)

    def _payload(self, token: str) -> bytes:
        """The bytes of the claims of an `at+jwt` that one of these keys signed, or TokenRefused."""
        return self.opened(token, ACCESS_TOKEN_TYPE)

    def opened(self, token: str, kind: str, most: int = MAX_BYTES) -> bytes:
        """The bytes of the claims of a JWT of this `typ` that one of these keys signed.

        `most` bounds its length in characters. Raises TokenRefused.
        """
        received = read_jws(token, most)
        header = received.header
        if header.get("alg") != "ES256":
            raise TokenRefused("token_header_refused", "the algorithm is not ES256")
        if header.get("typ") != kind:
            raise TokenRefused("token_header_refused", f"the type is not {kind}")
        kid = header.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenRefused("token_key_unknown", "no key of the issuer has this kid")
        if not is_signed_by(received, key):
            raise TokenRefused("token_signature_wrong", "the signature does not verify")
        return received.payload


def verify_api_token(
    token: str, keys: KeySet, *, issuer: str, audience: str, now: float
) -> ApiToken:
    """Verify a token for the exchange's own routes (RFC 9068 section 4); raises TokenRefused."""
    claims = _verified_claims(token, keys, issuer, audience, now)
    scopes = frozenset(_text(claims, "scope").split(" "))
    if "grant_id" in claims or any(scope.startswith(GRANT_SCOPE) for scope in scopes):
        raise TokenRefused("token_kind_wrong", "this is a grant token, not an API token")
    return ApiToken(
        client_id=claims["client_id"],
        org_id=_text(claims, "org_id"),
        scopes=scopes,
        jti=_text(claims, "jti"),
        issued=claims["iat"],
        expires=claims["exp"],
        jkt=_bound_to(claims),
        client_key=_client_key(claims),
    )


def verify_grant_token(
    token: str, keys: KeySet, *, issuer: str, audience: str, now: float
) -> GrantToken:
    """Verify a token for deliveries: `audience` is the connector's URL; raises TokenRefused."""
    claims = _verified_claims(token, keys, issuer, audience, now)
    if "grant_id" not in claims:
        raise TokenRefused("token_kind_wrong", "this is an API token, not a grant token")
    grant_id, details = _text(claims, "grant_id"), claims.get("authorization_details")
    if _text(claims, "scope") != GRANT_SCOPE + grant_id:
        raise TokenRefused("token_malformed", "scope and grant_id name different grants")
    if not isinstance(details, list) or not all(isinstance(each, dict) for each in details):
        raise TokenRefused("token_malformed", "authorization_details is not a list of objects")
    return GrantToken(
        client_id=claims["client_id"],
        org_id=_text(claims, "org_id"),
        grant_id=grant_id,
        authorization_details=tuple(details),
        jti=_text(claims, "jti"),
        issued=claims["iat"],
        expires=claims["exp"],
        status=_status_place(claims.get("status")),
        jkt=_bound_to(claims),
        client_key=_client_key(claims),
    )


def _status_place(claim: object) -> StatusPlace | None:
    """Read the claim `status` (draft-ietf-oauth-status-list, section 6.1); raises TokenRefused."""
    if claim is None:
        return None
    place = claim.get("status_list") if isinstance(claim, dict) else None
    if isinstance(place, dict):
        index, uri = place.get("idx"), place.get("uri")
        if type(index) is int and index >= 0 and isinstance(uri, str) and uri:
            return StatusPlace(uri, index)
    raise TokenRefused("token_malformed", "status names no place in a status list")


def _verified_claims(
    token: str, keys: KeySet, issuer: str, audience: str, now: float
) -> dict[str, Any]:
    claims = read_json(keys.payload(token))
    if claims.get("iss") != issuer:
        raise TokenRefused("token_issuer_wrong", "another issuer's token")
    if claims.get("aud") != audience:  # one string: an array could name others too
        raise TokenRefused("token_audience_wrong", "the token is for another audience")
    issued, expires = whole_seconds(claims, "iat"), whole_seconds(claims, "exp")
    begins = whole_seconds(claims, "nbf") if "nbf" in claims else issued
    if not 0 < expires - issued <= MAX_LIFETIME:
        raise TokenRefused("token_malformed", f"exp is not within {MAX_LIFETIME} s after iat")
    if expires <= now:
        raise TokenRefused("token_expired", "the token has expired")
    if max(issued, begins) > now + LEEWAY:
        raise TokenRefused("token_not_yet_valid", "the token is not valid yet")
    if claims.get("sub") != _text(claims, "client_id"):
        raise TokenRefused("token_malformed", "sub is not the client")
    return claims


def _bound_to(claims: Mapping[str, Any]) -> str | None:
    """Return the thumbprint of the key whose proof must come along (RFC 9449 section 6.1)."""
    if "cnf" not in claims:
        return None
    cnf = claims["cnf"]
    if not isinstance(cnf, dict) or cnf.keys() != {"jkt"}:
        raise TokenRefused("token_bound", "the token is bound in a way that is not known here")
    return _text(cnf, "jkt")


def _client_key(claims: Mapping[str, Any]) -> str | None:
    """Return the name of what the client proved itself with; tokens of before do not say."""
    return _text(claims, "client_key") if "client_key" in claims else None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRefused("token_malformed", f"{name} is missing or not a string")
    return value


def make_client_assertion(
    private_jwk: Mapping[str, Any], client_id: str, audience: str, now: float, lifetime: int = 60
) -> str:
    """Sign a client assertion (RFC 7523 section 3) that lives `lifetime` seconds, 60 at most.

    `audience` is the issuer, as its metadata spells it. The key is for ES256 or EdDSA; raises
    FormatError for any other.
    """
    key, algorithm, kid = load_private_key(private_jwk)
    if not 0 < lifetime <= MAX_ASSERTION_LIFETIME:
        raise FormatError(f"an assertion lives 1 to {MAX_ASSERTION_LIFETIME} seconds")
    header = {"alg": algorithm, "kid": kid, "typ": "JWT"}
    claims: dict[str, Any] = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "exp": int(now) + lifetime,
    }
    return sign_jws(key, header, claims)
