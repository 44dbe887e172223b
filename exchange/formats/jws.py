"""Signed JSON Web Tokens in compact form (RFC 7515, RFC 7519), read strictly.

BASE64URL(header) "." BASE64URL(claims) "." BASE64URL(signature)

The header holds alg, kid and typ and nothing else, so no `crit`, and no `jwk`, `jku`, `x5u` or
`x5c` with which a token would bring its own key. A DPoP proof does bring one (dpop.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from exchange.formats.errors import FormatError
from exchange.formats.jwk import PrivateKey, PublicKey, decode_base64url, encode_base64url

MAX_BYTES = 8192
_HEADER = frozenset({"alg", "kid", "typ"})

Code = Literal[
    "token_malformed",  # not a JWS of ours, or a claim is missing or of the wrong type
    "token_header_refused",  # another alg or typ, or a header parameter that we never write
    "token_key_unknown",
    "token_signature_wrong",
    "token_issuer_wrong",
    "token_audience_wrong",
    "token_expired",
    "token_not_yet_valid",
    "token_bound",  # by a method of RFC 7800 that is not known here
    "token_kind_wrong",  # a grant token where an API token is due, or the reverse
]

_write = json.JSONEncoder(separators=(",", ":")).encode
_ES256 = ec.ECDSA(hashes.SHA256())
_PS256 = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)


class TokenRefused(FormatError):
    """A token that is not accepted: `code` for programs, `detail` (which repeats nothing of it)."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: Code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ReceivedJws:
    """A JWS that was read and not verified: whatever it says, anyone may have written."""

    header: Mapping[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes


def read_jws(token: str, most: int = MAX_BYTES, members: frozenset[str] = _HEADER) -> ReceivedJws:
    """Read a compact JWS, its size bounded before anything is decoded; raises TokenRefused.

    Its header may have `members` and no others.
    """
    if len(token) > most:
        raise TokenRefused("token_malformed", f"more than {most} bytes")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise TokenRefused("token_malformed", "not a signed JWT")
    try:
        raw = [decode_base64url(part) for part in parts]
    except FormatError:
        raise TokenRefused("token_malformed", "not base64url") from None
    header = read_json(raw[0])
    if not header.keys() <= members:
        names = ", ".join(sorted(members))
        raise TokenRefused("token_header_refused", f"only {names} belong in the header")
    signed = token[: len(parts[0]) + 1 + len(parts[1])].encode("ascii")
    return ReceivedJws(header, raw[1], signed, raw[2])


def read_json(data: bytes) -> dict[str, Any]:
    """Read one JSON object, no name twice (RFC 7519 section 4); raises TokenRefused."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # the latter for [[[[…, which stays within the size
        value = None
    if not isinstance(value, dict):
        raise TokenRefused("token_malformed", "not a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def is_signed_by(received: ReceivedJws, key: PublicKey) -> bool:
    """Whether the key made the signature, with the one algorithm of its kind."""
    signature, signed = received.signature, received.signed
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                if len(signature) != 64:  # r and s, 32 bytes each (RFC 7518 section 3.4)
                    return False
                r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
                key.verify(encode_dss_signature(r, s), signed, _ES256)
            case Ed25519PublicKey():
                key.verify(signature, signed)
            case RSAPublicKey():
                key.verify(signature, signed, _PS256, hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def whole_seconds(claims: Mapping[str, Any], name: str) -> int:
    """Read a NumericDate that is a whole number of seconds; raises TokenRefused."""
    value = claims.get(name)
    if type(value) is not int or not 0 < value < 2**40:
        raise TokenRefused("token_malformed", f"{name} is missing or not a time in whole seconds")
    return value


def sign_jws(key: PrivateKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Sign a JWT; `header` names the algorithm of the key: ES256 for P-256, EdDSA for Ed25519."""
    signed = ".".join(encode_base64url(_write(part).encode()) for part in (header, claims))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed.encode(), _ES256))
        signature = r.to_bytes(32) + s.to_bytes(32)
    else:
        signature = key.sign(signed.encode())
    return f"{signed}.{encode_base64url(signature)}"
