"""DPoP proofs (RFC 9449): signed for one request, by the key that a token is bound to.

    header   {"typ": "dpop+jwt", "alg": …, "jwk": the public key}
    claims   jti, htm (method), htu (URL without query), iat, [nonce], [ath: hash of the token]

Times are seconds since 1970, UTC.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from exchange.formats.errors import FormatError
from exchange.formats.jwk import (
    ALGORITHMS,
    PublicKey,
    decode_base64url,
    encode_base64url,
    load_private_key,
    load_public_key,
    parse_public_jwks,
    public_jwks,
    thumbprint,
)
from exchange.formats.jws import (
    TokenRefused,
    is_signed_by,
    read_json,
    read_jws,
    sign_jws,
    whole_seconds,
)

TYPE = "dpop+jwt"
SIGNING_ALGORITHMS = tuple(sorted(name for names in ALGORITHMS.values() for name in names))
MAX_AGE = 300  # of a proof, and of the nonce in it
LEEWAY = 30  # how far another clock may be ahead of ours

Code = Literal["dpop_proof_missing", "dpop_proof_invalid", "dpop_nonce_needed", "dpop_replayed"]
_HEADER = frozenset({"typ", "alg", "jwk"})
_PORTS = {"http": 80, "https": 443}
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")
_TOKEN_KEYS = 4096
_URLS = 1024


class ProofRefused(FormatError):
    """A proof that is not accepted: `code` for programs, `detail` (which repeats nothing of it)."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: Code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose signature holds: what it says it is for is not judged yet."""

    jkt: str  # thumbprint of its key (RFC 7638)
    jti: str
    method: str
    url: str
    issued: int
    nonce: str | None
    token_hash: str | None

    @property
    def once_key(self) -> str:
        """Return the name under which it is used once, of its key's owner alone."""
        digest = hashlib.sha256(self.jti.encode()).hexdigest()
        return f"dpop:{self.jkt}:{digest}"

    @property
    def expires(self) -> int:
        """Return when no server accepts it any more, in seconds."""
        return self.issued + MAX_AGE + 2 * LEEWAY


def read_proof(text: str) -> Proof:
    """Read a proof and verify that the key it brings signed it; raises ProofRefused."""
    try:
        jws = read_jws(text, members=_HEADER)
        if jws.header.get("typ") != TYPE:
            raise invalid(f"its typ is not {TYPE}")
        key, jkt = _key(text[: text.index(".")])
        if not is_signed_by(jws, key):
            raise invalid("its signature does not verify")
        claims = read_json(jws.payload)
        issued = whole_seconds(claims, "iat")
    except TokenRefused as error:
        raise invalid(error.detail) from error
    return Proof(
        jkt,
        _text(claims, "jti", 256),
        _text(claims, "htm", 32),
        _text(claims, "htu", 4096),
        issued,
        _text(claims, "nonce", 256) if "nonce" in claims else None,
        _text(claims, "ath", 64) if "ath" in claims else None,
    )


def check_proof(
    proof: Proof, *, method: str, url: str, now: float, token: str | None = None
) -> None:
    """Judge what a proof is for (section 4.3); raises ProofRefused.

    `method` and `url` are the request's as the server knows itself, never as a header says;
    `token` is the access token that came with it, None where none is due.
    """
    if proof.method != method:
        raise invalid("htm is not the request's method")
    if not same_url(proof.url, url):
        raise invalid("htu is not the URL of this request")
    if not now - MAX_AGE - LEEWAY <= proof.issued <= now + LEEWAY:
        raise invalid("iat is not within minutes of now: is your clock right?")
    expected = token_hash(token) if token is not None else None
    if expected is not None and proof.token_hash != expected:
        raise invalid("ath is not the hash of the access token")


class Prover:
    """Signs proofs with one key, for ES256 or EdDSA; raises FormatError for any other."""

    def __init__(self, private_jwk: Mapping[str, Any]) -> None:
        self._key, algorithm, _kid = load_private_key(private_jwk)
        public = public_jwks(private_jwk)["keys"][0]
        jwk = {name: public[name] for name in ("kty", "crv", "x", "y") if name in public}
        self._header = {"typ": TYPE, "alg": algorithm, "jwk": jwk}
        self.jkt = thumbprint(public)

    def proof(
        self,
        method: str,
        url: str,
        now: float,
        *,
        nonce: str | None = None,
        token: str | None = None,
    ) -> str:
        """Return a proof for one request; `token` is the access token that goes with it."""
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url.partition("#")[0].partition("?")[0],
            "iat": int(now),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if token is not None:
            claims["ath"] = token_hash(token)
        return sign_jws(self._key, self._header, claims)


def token_hash(token: str) -> str:
    """Return a token's `ath`: BASE64URL of its SHA-256 (section 4.2)."""
    return encode_base64url(hashlib.sha256(token.encode()).digest())


def same_url(one: str, other: str) -> bool:
    """Whether two URLs are one, without query and fragment (RFC 3986 sections 6.2.2, 6.2.3)."""
    try:
        return _normal(one) == _normal(other)
    except ValueError:
        return False


@lru_cache(maxsize=_URLS)
def _normal(url: str) -> tuple[str, str, int | None, str]:
    parts: SplitResult = urlsplit(url)
    if parts.username is not None or parts.password is not None or "\\" in url:
        raise ValueError("no URL of a resource")
    port = parts.port if parts.port is not None else _PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port, _ESCAPE.sub(_escape, parts.path) or "/"


def _escape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _UNRESERVED.fullmatch(character) else f"%{found[1].upper()}"


@lru_cache(maxsize=_TOKEN_KEYS)
def _key(header: str) -> tuple[PublicKey, str]:
    """Load the key of an encoded header, which is the same in every proof of a client."""
    value = read_json(decode_base64url(header))
    jwk, algorithm = value.get("jwk"), value.get("alg")
    if not isinstance(jwk, dict):
        raise invalid("its header brings no public key")
    try:
        public = _public(jwk)
        key = load_public_key(public)
    except FormatError as error:
        raise invalid(str(error)) from error
    if algorithm not in ALGORITHMS[public["kty"]]:
        raise invalid(f"sign it with one of {', '.join(SIGNING_ALGORITHMS)}")
    return key, thumbprint(public)


def _public(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Return a public JWK as keys are registered; raises FormatError, also for a private one."""
    return dict(parse_public_jwks({"keys": [jwk]})["keys"][0])


def _text(claims: Mapping[str, Any], name: str, longest: int) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isascii():
        raise invalid(f"{name} is missing or not a string of 1 to {longest} ASCII characters")
    return value


def invalid(detail: str) -> ProofRefused:
    """Return the refusal of a proof that is wrong."""
    return ProofRefused("dpop_proof_invalid", detail)
