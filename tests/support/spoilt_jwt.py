"""JWTs made malformed out of good ones, by a seed; some signed anew by whoever may sign them."""

import base64
import json
import random
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from exchange.formats.jwk import load_private_key

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    10**30,
    "",
    "x",
    " ",
    "\x00",
    "é",
    "用途",
    "\ud800",
    "none",
    "' OR 1=1 --",
    "../../etc/passwd",
    "https://evil.example",
    "x" * 3000,
    [],
    {},
    [[]],
    {"a": {"b": []}},
]


def spoilt(good: str, dice: random.Random, key: Mapping[str, Any] | None = None) -> str:
    """Spoil a JWT. With the private key that signed it, half of what is still one is signed anew:
    so what comes after the signature's check is met by odd claims too."""
    parts = good.split(".")
    kind = dice.randrange(9)
    if kind == 0:
        return dice.choice(["", ".", "..", "...", "a.b.c", "x" * 20_000, good + ".", good[:-3]])
    if kind == 1:
        at = dice.randrange(len(good))
        return good[:at] + dice.choice("=+/-_.~é%\x7f") + good[at + 1 :]
    if kind == 2:
        return ".".join([b64(b"[" * dice.choice([10, 5000])), *parts[1:]])
    which = dice.choice([0, 0, 1, 1, 1])
    value = json.loads(base64.urlsafe_b64decode(parts[which] + "=" * (-len(parts[which]) % 4)))
    name = dice.choice([*value, "crit", "jku", "x5c", "b64", "p2c", "zip", "cnf", "nbf", "sub"])
    if kind == 3:
        value.pop(name, None)
    elif kind == 4:
        value[name] = dice.choice([dict(value), [dict(value)], str(value)])
    else:
        value[name] = dice.choice(ODD)
    text = json.dumps(value)
    if kind == 8:
        text = text[:-1] + "," + text[1:]
    parts[which] = b64(text.encode("utf-8", "surrogatepass"))
    if key is not None and dice.random() < 0.5:
        parts[2] = _signature(key, f"{parts[0]}.{parts[1]}".encode())
    return ".".join(parts)


def signed(key: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Sign claims with a client's key (ES256), whatever they are."""
    header = {"alg": "ES256", "kid": key["kid"], "typ": "JWT"}
    text = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{_signature(key, text.encode())}"


def b64(data: bytes) -> str:
    """Encode in BASE64URL."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(key: Mapping[str, Any], text: bytes) -> str:
    private, _algorithm, _kid = load_private_key(key)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(text, ec.ECDSA(hashes.SHA256())))
    return b64(r.to_bytes(32) + s.to_bytes(32))
