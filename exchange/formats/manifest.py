"""The manifest of an export: a JWT of type `export-manifest+jwt` that the exchange's keys sign.

It says what the file is (SHA-256, bytes, entries), what was asked for, and the signed checkpoint of
the log out of which it was taken.
"""

from dataclasses import dataclass
from typing import Any, Final

from exchange.formats.errors import FormatError
from exchange.formats.jwk import load_public_key, parse_public_jwks, thumbprint
from exchange.formats.jws import TokenRefused, is_signed_by, read_json, read_jws

MANIFEST_TYPE: Final = "export-manifest+jwt"


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """What a manifest claims, and the thumbprint of the key that signed it."""

    claims: dict[str, Any]
    key: str


def signed_manifest(token: str, jwks: object) -> SignedManifest:
    """Open a manifest that one of these keys signed; raises FormatError."""
    received = read_jws(token)
    header = received.header
    if header.get("typ") != MANIFEST_TYPE or header.get("alg") != "ES256":
        raise TokenRefused("token_header_refused", "not the manifest of an export")
    keys = {each["kid"]: each for each in parse_public_jwks(jwks)["keys"]}
    if header.get("kid") not in keys:
        raise TokenRefused("token_key_unknown", "no key of the exchange has this kid")
    key = keys[header["kid"]]
    if not is_signed_by(received, load_public_key(key)):
        raise TokenRefused("token_signature_wrong", "the signature does not verify")
    claims = read_json(received.payload)
    kinds = {"sha256": str, "bytes": int, "leaves": int, "format": str, "checkpoint": str}
    if any(type(claims.get(name)) is not kind for name, kind in kinds.items()):
        raise FormatError("the manifest lacks what it must say")
    return SignedManifest(claims, thumbprint(key))
