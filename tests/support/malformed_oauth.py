"""Malformed assertions, proofs, forms and headers, made out of good ones; each by a seed."""

import base64
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from exchange.formats.dpop import Prover
from exchange.formats.tokens import generate_client_key, make_client_assertion

FORM = "application/x-www-form-urlencoded"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PATHS = ("token", "token", "token", "revoke", "introspect", "par", "register", "/v1/me")
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


@dataclass(frozen=True)
class Malformed:
    """One request: its path, its headers as sent, its body."""

    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass
class Known:
    """What is good: a client with its key, an offering and a grant, and the server's nonce."""

    issuer: str
    client_id: str
    key: dict[str, Any]
    offering: str
    grant: str
    token: str
    nonce: str = ""
    prover: Prover = field(default_factory=lambda: Prover(generate_client_key()))


def malformed(known: Known, seed: int, count: int) -> Iterator[Malformed]:
    """So many requests, always the same ones for a seed but for times and random ids."""
    dice = random.Random(seed)
    for _ in range(count):
        yield _one(known, dice)


def _one(known: Known, dice: random.Random) -> Malformed:
    path = dice.choice(PATHS)
    url = path if path.startswith("/v1") else f"/oauth/{path}"
    method = "GET" if url == "/v1/me" else "POST"
    assertion = make_client_assertion(known.key, known.client_id, known.issuer, time.time())
    options: dict[str, Any] = {"nonce": known.nonce or None}
    if url == "/v1/me":
        options["token"] = known.token
    proof = known.prover.proof(method, known.issuer + url, time.time(), **options)
    form: list[tuple[str, str]] = [
        ("grant_type", dice.choice(["client_credentials"] * 8 + ["password", "jwt-bearer", ""])),
        ("client_assertion_type", TYPE),
        ("client_assertion", _maybe(dice, assertion, _jwt)),
    ]
    form += dice.choice(_ASKS)(known, dice)
    headers = [
        (b"content-type", dice.choice([FORM] * 12 + ["application/json", "x/y", ""]).encode())
    ]
    if dice.random() < 0.6:
        proofs = [_maybe(dice, proof, _jwt)] * dice.choice([1, 1, 1, 1, 2])
        headers += [(b"dpop", _bytes(each)) for each in proofs]
    if url == "/v1/me":
        scheme = dice.choice(["DPoP", "DPoP", "Bearer", "Basic", "dpop  ", ""])
        headers.append((b"authorization", _bytes(f"{scheme} {_maybe(dice, known.token, _jwt)}")))
    elif dice.random() < 0.15:
        headers.append((b"authorization", _bytes(dice.choice(_AUTHORIZATIONS)(known, dice))))
    body = b"" if url == "/v1/me" else _encoded(form, dice)
    if path == "register":
        body = json.dumps(_document(known, dice)).encode("utf-8", "surrogatepass")
    return Malformed(url, headers, body[: 200 * 1024])


def _maybe(dice: random.Random, good: str, spoil: Callable[[str, random.Random], str]) -> str:
    return good if dice.random() < 0.65 else spoil(good, dice)


def _jwt(good: str, dice: random.Random) -> str:
    parts = good.split(".")
    kind = dice.randrange(9)
    if kind == 0:
        return dice.choice(["", ".", "..", "...", "a.b.c", "x" * 20_000, good + ".", good[:-3]])
    if kind == 1:
        at = dice.randrange(len(good))
        return good[:at] + dice.choice("=+/-_.~é%\x7f") + good[at + 1 :]
    if kind == 2:
        return ".".join([_b64(b"[" * dice.choice([10, 5000])), *parts[1:]])
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
    parts[which] = _b64(text.encode("utf-8", "surrogatepass"))
    return ".".join(parts)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """As a header can be sent: no line ends, no NUL."""
    raw = text.encode("utf-8", "surrogatepass")
    return raw.translate(None, b"\r\n\x00")[:30_000].strip() or b"x"


def _details(known: Known, dice: random.Random) -> list[tuple[str, str]]:
    detail: dict[str, Any] = dice.choice(
        [
            {"type": "dataset", "offering": known.offering, "purpose": "logistics_planning"},
            {"type": "dataset", "grant_id": known.grant, "actions": ["read"]},
        ]
    )
    for _ in range(dice.randrange(3)):
        name = dice.choice([*detail, "days", "form", "actions", "accepted_terms", "locations", "x"])
        detail = {**detail, name: dice.choice(ODD)}
    value: Any = dice.choice([[detail]] * 6 + [detail, [detail, detail], [[detail]], [], "x"])
    text = json.dumps(value)
    if dice.random() < 0.1:
        text = dice.choice(
            ["[" * 9000, text[:-2], text + text, "NaN", "{", '[{"type":1,"type":2}]']
        )
    return [("authorization_details", text)]


_ASKS: list[Callable[[Known, random.Random], list[tuple[str, str]]]] = [
    lambda known, dice: [],
    lambda known, dice: [
        ("scope", dice.choice(["catalog", "operate", f"grant:{known.grant}", "ü"]))
    ],
    lambda known, dice: [("scope", _text(dice))],
    lambda known, dice: [("resource", dice.choice([known.issuer, _text(dice)]))],
    lambda known, dice: [("token", _maybe(dice, known.token, _jwt))],
    lambda known, dice: [("client_id", dice.choice([known.client_id, _text(dice)]))],
    lambda known, dice: [("client_id", known.client_id), ("client_secret", _text(dice))],
    lambda known, dice: [("assertion", _text(dice))],
    lambda known, dice: [
        ("response_type", dice.choice(["code", "token", _text(dice)])),
        ("redirect_uri", dice.choice(["https://a.example/b", "http://127.0.0.1/", _text(dice)])),
        (
            "code_challenge",
            dice.choice(["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", _text(dice)]),
        ),
        ("code_challenge_method", dice.choice(["S256", "plain"])),
    ],
    _details,
    _details,
    _details,
]
_AUTHORIZATIONS: list[Callable[[Known, random.Random], str]] = [
    lambda known, dice: (
        "Basic " + _b64(f"{known.client_id}:{_text(dice)}".encode("utf-8", "replace"))
    ),
    lambda known, dice: "Basic " + _text(dice),
    lambda known, dice: "Bearer " + known.token,
    lambda known, dice: _text(dice),
]


def _text(dice: random.Random) -> str:
    odd = dice.choice(ODD)
    return odd if isinstance(odd, str) else json.dumps(odd)


def _document(known: Known, dice: random.Random) -> Any:
    names = ("client_name", "jwks", "grant_types", "dpop_bound_access_tokens", "scope", "jwks_uri")
    return {name: dice.choice(ODD) for name in names if dice.random() < 0.6}


def _encoded(form: list[tuple[str, str]], dice: random.Random) -> bytes:
    if dice.random() < 0.1:
        form = [*form, dice.choice(form)]
    if dice.random() < 0.1:
        form = [pair for pair in form if dice.random() < 0.7]
    pairs = [
        f"{name}={quote_plus(value.encode('utf-8', 'surrogatepass'))}".encode()
        for name, value in form
    ]
    dice.shuffle(pairs)
    body = b"&".join(pairs)
    spoilt = dice.randrange(30)
    if spoilt == 0:
        return body + dice.choice([b"&", b"&&&", b"&x", b"&=y", b"&%zz=1", b"&%ff=1", b"&a=%00"])
    if spoilt == 1:
        return body + b"&pad=" + b"x" * dice.choice([1000, 40_000, 150_000])
    if spoilt == 2:
        return bytes(dice.randrange(256) for _ in range(200))
    return body
