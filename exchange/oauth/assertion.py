"""Client authentication by private_key_jwt (RFC 7523 section 3, RFC 7521 section 4.2).

FAPI 2.0's choices: asymmetric algorithms of an explicit list, `aud` is the issuer and nothing else,
`jti` once, five minutes at most.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from exchange.formats.errors import FormatError
from exchange.formats.jwk import ALGORITHMS, PublicKey, load_public_key
from exchange.formats.jws import (
    ReceivedJws,
    TokenRefused,
    is_signed_by,
    read_json,
    read_jws,
    whole_seconds,
)
from exchange.ids import is_id
from exchange.ledger.write import Once
from exchange.oauth.model import NotAuthenticated, Party, Refused, Verified
from exchange.participants.credentials import key_name
from exchange.participants.model import AuthMethod

METHOD: AuthMethod = "private_key_jwt"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SIGNING_ALGORITHMS = tuple(sorted(name for names in ALGORITHMS.values() for name in names))
MAX_SECONDS = 300
LEEWAY_SECONDS = 30  # for a client's clock that is ahead of ours
ONCE_MARGIN_MS = 60_000  # another server's clock may be behind ours: the key outlives the assertion

_CLIENT_KEYS = 4096
_JTI = re.compile(r"[\x20-\x7e]{1,256}")
_TYPES = (None, "JWT", "jwt", "client-authentication+jwt")


@dataclass(frozen=True, slots=True)
class ReceivedAssertion:
    """An assertion that was read: whom it names, nothing of it verified."""

    client_id: str
    jws: ReceivedJws
    claims: Mapping[str, Any]


def read_assertion(form: Mapping[str, str]) -> ReceivedAssertion:
    """Read the assertion out of a token request; raises Refused."""
    if "client_assertion" not in form or "client_assertion_type" not in form:
        raise Refused(
            "invalid_client", f"Authenticate with {METHOD}: client_assertion and its type."
        )
    if form["client_assertion_type"] != TYPE:
        raise Refused("invalid_client", f"The client_assertion_type must be {TYPE}.")
    jws, claims = read_signed(form["client_assertion"])
    client_id = claims.get("sub")
    if not isinstance(client_id, str) or not is_id(client_id, "cli"):
        raise Refused("invalid_client", "The assertion's sub is not a client's id.")
    if claims.get("iss") != client_id or form.get("client_id", client_id) != client_id:
        raise Refused("invalid_client", "iss, sub and client_id must name one client.")
    return ReceivedAssertion(client_id, jws, claims)


def read_signed(text: str) -> tuple[ReceivedJws, dict[str, Any]]:
    """Read a signed JWT and its claims, nothing of it verified; raises Refused."""
    try:
        jws = read_jws(text)
        return jws, read_json(jws.payload)
    except TokenRefused as error:
        raise Refused("invalid_client", f"The assertion: {error.detail}.") from error


def verify_assertion(
    received: ReceivedAssertion,
    party: Party | None,
    *,
    issuer: str,
    now_ms: int,
    method: AuthMethod = METHOD,
) -> Verified:
    """Verify the assertion as `party`'s, which must be registered for `method`.

    Raises Refused, NotAuthenticated where the rows decide.
    """
    _check_header(received.jws.header)
    once = _check_claims(received, issuer, now_ms)
    # One answer for an unknown client, an unknown key and a wrong signature: ids are not guessable
    # by asking here.
    key = _signer(received.jws, party, method)
    if party is None or key is None:
        raise NotAuthenticated("The assertion is not signed with a registered key of this client.")
    party.check_active()
    return Verified(party, key_name(key), [once])


def _check_header(header: Mapping[str, Any]) -> None:
    if header.get("alg") not in SIGNING_ALGORITHMS:
        raise Refused("invalid_client", f"Sign with one of {', '.join(SIGNING_ALGORITHMS)}.")
    if header.get("typ") not in _TYPES:
        raise Refused("invalid_client", "The assertion's typ must be JWT.")


def _check_claims(received: ReceivedAssertion, issuer: str, now_ms: int) -> Once:
    claims, now = received.claims, now_ms / 1000
    if claims.get("aud") != issuer:  # an array could name a server that replays it here
        raise Refused("invalid_client", f"aud must be the string {issuer} and nothing else.")
    try:
        expires = whole_seconds(claims, "exp")
        begins = [whole_seconds(claims, name) for name in ("iat", "nbf") if name in claims]
    except TokenRefused as error:
        raise Refused("invalid_client", f"The assertion: {error.detail}.") from error
    if expires <= now:
        raise Refused("invalid_client", "The assertion has expired.")
    if any(begin > now + LEEWAY_SECONDS for begin in begins):
        raise Refused("invalid_client", "The assertion is not valid yet: is your clock right?")
    too_far = expires > now + MAX_SECONDS + LEEWAY_SECONDS
    if too_far or any(not 0 < expires - begin <= MAX_SECONDS for begin in begins):
        raise Refused("invalid_client", f"An assertion may live {MAX_SECONDS} s at most.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        raise Refused("invalid_client", "jti must be a string of 1 to 256 ASCII characters.")
    digest = hashlib.sha256(jti.encode()).hexdigest()
    return Once(f"assertion:{received.client_id}:{digest}", expires * 1000 + ONCE_MARGIN_MS)


def _signer(jws: ReceivedJws, party: Party | None, method: AuthMethod) -> Mapping[str, Any] | None:
    """Return the registered key that signed: the one that the header names, or without a kid the
    only one that could have."""
    if party is None or party.client.auth_method != method:
        return None
    algorithm, kid = jws.header["alg"], jws.header.get("kid")
    fitting = [
        key
        for key in party.client.jwks["keys"]
        if algorithm in ALGORITHMS[key["kty"]] and ("kid" not in jws.header or key["kid"] == kid)
    ]
    try:
        is_right = len(fitting) == 1 and is_signed_by(jws, _load(tuple(fitting[0].items())))
    except FormatError:  # a key from before today's rules
        return None
    return fitting[0] if is_right else None


@lru_cache(maxsize=_CLIENT_KEYS)
def _load(members: tuple[tuple[str, str], ...]) -> PublicKey:
    """Load a registered key, the same at each request of its client."""
    return load_public_key(dict(members))
