"""Keys of clients and token issuers as JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037).

Three kinds, each with the one algorithm that it may be used with: EC P-256 (ES256), Ed25519
(EdDSA), RSA of 2048 to 4096 bits (PS256).
"""

import binascii
import re
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from joserfc import jwk as jose

from exchange.formats.errors import FormatError

MAX_KEYS = 8
ALGORITHMS = {"EC": ("ES256",), "OKP": ("EdDSA", "Ed25519"), "RSA": ("PS256",)}

PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey

_MEMBERS = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_BASE64URL = re.compile("[A-Za-z0-9_-]*")
_URL_SAFE, _STANDARD = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_KID = re.compile(r"[\x21-\x7e]{1,128}")
_RSA_EXPONENT = 65537


def encode_base64url(data: bytes) -> str:
    """BASE64URL without padding (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_URL_SAFE).decode()


def decode_base64url(text: str) -> bytes:
    """Read the bytes back; raises FormatError for all but their one right spelling."""
    if _BASE64URL.fullmatch(text):
        padded = text.encode().translate(_STANDARD) + b"=" * (-len(text) % 4)
        try:
            data = binascii.a2b_base64(padded)
        except binascii.Error:
            raise FormatError("not base64url") from None
        if binascii.b2a_base64(data, newline=False) == padded:
            return data
    raise FormatError("not base64url")


def parse_public_jwks(value: object) -> dict[str, Any]:
    """Read a JWK Set of 1 to 8 public keys; a missing kid becomes the thumbprint (RFC 7638).

    What verifying does not need is dropped, so no URL of a set is ever kept or followed. Raises
    FormatError; a private key is refused, since whoever sent it has shown it.
    """
    members = value.get("keys") if isinstance(value, Mapping) else None
    if not isinstance(members, list) or not 1 <= len(members) <= MAX_KEYS:
        raise FormatError(f'a JWK Set holds 1 to {MAX_KEYS} keys: {{"keys": [...]}}')
    keys = [_public_jwk(each) for each in members]
    if len({key["kid"] for key in keys}) != len(keys):
        raise FormatError("two keys have the same kid")
    return {"keys": keys}


def _public_jwk(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError("a key is not a JSON object")
    kind = value.get("kty")
    if kind == "oct":
        raise FormatError("a symmetric key cannot prove who signed")
    if not _PRIVATE.isdisjoint(value):
        raise FormatError("it holds a private key: make a new one and send only its public part")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise FormatError("kty must be EC (P-256), OKP (Ed25519) or RSA")
    algorithm = value.get("alg", ALGORITHMS[kind][0])
    if algorithm not in ALGORITHMS[kind]:
        raise FormatError(f"alg of a key of type {kind} must be {' or '.join(ALGORITHMS[kind])}")
    if value.get("use", "sig") != "sig" or value.get("key_ops", ["verify"]) != ["verify"]:
        raise FormatError("the key must be meant for verifying signatures (use: sig)")
    public = {"kty": kind, **{name: value.get(name) for name in _MEMBERS[kind]}}
    load_public_key(public)
    kid = value.get("kid", jose.thumbprint(public))
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise FormatError("kid must be 1 to 128 visible ASCII characters")
    return {**public, "kid": kid, "alg": algorithm, "use": "sig"}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return a public key's thumbprint (RFC 7638), which nobody can choose as they can a kid."""
    public = {name: jwk[name] for name in ("kty", *_MEMBERS[jwk["kty"]])}
    return jose.thumbprint(public)


def load_public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """Load a public JWK of a known kty; raises FormatError for an unsafe curve, point or size."""
    kind, curve = jwk["kty"], jwk.get("crv")
    numbers = [jwk.get(name) for name in _MEMBERS[kind] if name != "crv"]
    if not all(isinstance(number, str) and len(number) <= 700 for number in numbers):
        raise FormatError("a member of the key is missing or too long")
    raw = [decode_base64url(str(number)) for number in numbers]
    if kind == "RSA":
        return _load_rsa(*raw)
    if (kind, curve) not in (("EC", "P-256"), ("OKP", "Ed25519")):
        raise FormatError("the curve must be P-256 (EC) or Ed25519 (OKP)")
    if any(len(part) != 32 for part in raw):
        raise FormatError("a coordinate of the key is not 32 bytes")
    if kind == "OKP":
        return Ed25519PublicKey.from_public_bytes(raw[0])
    x, y = (int.from_bytes(part) for part in raw)
    try:
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError as error:
        raise FormatError("the point is not on the curve") from error


def _load_rsa(modulus: bytes, exponent: bytes) -> RSAPublicKey:
    n, e = int.from_bytes(modulus), int.from_bytes(exponent)
    if not 2048 <= n.bit_length() <= 4096 or e != _RSA_EXPONENT:
        raise FormatError("an RSA key needs 2048 to 4096 bits and the exponent 65537")
    if not modulus[0] or not exponent[0]:
        raise FormatError("a number of the key starts with a zero byte")
    if n % 2 == 0:
        raise FormatError("the RSA modulus is even")
    try:
        return RSAPublicNumbers(e, n).public_key()
    except ValueError as error:
        raise FormatError("not a valid RSA key") from error


def generate_client_key() -> dict[str, Any]:
    """Make a private JWK for ES256; its kid is its thumbprint (RFC 7638)."""
    key = jose.ECKey.generate_key("P-256", private=True)
    return {**key.as_dict(private=True), "kid": key.thumbprint(), "alg": "ES256", "use": "sig"}


def public_jwks(private_jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The JWK Set to register: the public part of one private JWK; raises FormatError."""
    dropped = _PRIVATE | {"key_ops"}  # what the private half may do is not what the public half may
    public = {name: value for name, value in private_jwk.items() if name not in dropped}
    return parse_public_jwks({"keys": [public]})


def load_private_key(private_jwk: Mapping[str, Any]) -> tuple[PrivateKey, str, str]:
    """Load a private key for ES256 or EdDSA, with its alg and kid; raises FormatError."""
    public = public_jwks(private_jwk)["keys"][0]
    secret, key = private_jwk.get("d"), load_public_key(public)
    if not isinstance(secret, str) or len(raw := decode_base64url(secret)) != 32:
        raise FormatError("its member d, the private part, is missing or not 32 bytes")
    if isinstance(key, ec.EllipticCurvePublicKey):
        numbers = ec.EllipticCurvePrivateNumbers(int.from_bytes(raw), key.public_numbers())
        try:
            return numbers.private_key(), public["alg"], public["kid"]
        except ValueError as error:
            raise FormatError("its private part does not belong to its public part") from error
    if isinstance(key, RSAPublicKey):
        raise FormatError("the key must be for ES256 or EdDSA")
    private = Ed25519PrivateKey.from_private_bytes(raw)
    if private.public_key() != key:
        raise FormatError("its private part does not belong to its public part")
    return private, public["alg"], public["kid"]
