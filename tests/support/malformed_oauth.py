"""Malformed assertions, grants, secrets, proofs, forms and metadata, made by a seed of good ones.

Each request is of one way in (`what`), and of each some are good as they are: what lies
behind a check is reached only by what passes it.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from exchange.formats.dpop import Prover
from exchange.formats.tokens import generate_client_key, make_client_assertion, public_jwks
from exchange.oauth.jwt_bearer import GRANT_TYPE as JWT_BEARER
from tests.support.spoilt_jwt import ODD, b64, signed, spoilt

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PATHS = ("token", "token", "token", "token", "revoke", "introspect", "par", "register", "me")
WAYS = ("assertion", "assertion", "jwt bearer", "jwt bearer", "secret in header", "secret in form")
Pairs = list[tuple[str, str]]
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Malformed:
    """One request: its way in, its path, its headers as sent, its body."""

    what: str
    path: str
    headers: Headers
    body: bytes


@dataclass
class Known:
    """What is good: clients of each kind, an offering and a grant, the server's nonce.

    `given_up` is a token that may be revoked; of `invitations` the last is open, until a
    registration uses it up.
    """

    issuer: str
    client_id: str
    key: dict[str, Any]
    bearer_id: str  # registered for RFC 7523 section 2.1
    bearer_key: dict[str, Any]
    basic: tuple[str, str]  # id and secret
    post: tuple[str, str]
    offering: str
    grant: str
    token: str
    given_up: str
    invitations: list[str]
    scopes: str  # what a client of the organisation is registered with
    nonce: str = ""
    prover: Prover = field(default_factory=lambda: Prover(generate_client_key()))

    def secrets(self) -> list[str]:
        """What no refusal and no line of the server's log may repeat."""
        return [self.token, self.given_up, self.basic[1], self.post[1], *self.invitations]


def malformed(known: Known, seed: int, count: int) -> Iterator[Malformed]:
    """So many requests, always the same ones for a seed but for times and random ids."""
    dice = random.Random(seed)
    for _ in range(count):
        path = dice.choice(PATHS)
        if path == "me":
            yield _me(known, dice)
        elif path == "register":
            yield _registration(known, dice)
        else:
            yield _form(known, dice, path)


def _me(known: Known, dice: random.Random) -> Malformed:
    proof = _proof(known, "GET", "/v1/me", token=known.token)
    scheme = dice.choice(["DPoP", "DPoP", "DPoP", "DPoP", "Bearer", "Basic", "dpop  ", ""])
    shown = f"{scheme} {_maybe(dice, known.token, spoilt)}"
    headers = [*_proofs(dice, proof), (b"authorization", _bytes(shown))]
    return Malformed("me", "/v1/me", headers, b"")


def _form(known: Known, dice: random.Random, path: str) -> Malformed:
    way, url = dice.choice(WAYS), f"/oauth/{path}"
    form, headers = _shown(known, dice, path, way)
    form += dice.choice([*_ASKS, *[_ASKS_OF[path]] * 9])(known, dice)
    headers.append(_kind(dice, FORM, JSON))
    if dice.random() < 0.4:
        headers += _proofs(dice, _proof(known, "POST", url))
    if dice.random() < 0.05:
        headers.append((b"authorization", _bytes(dice.choice(_AUTHORIZATIONS)(known, dice))))
    return Malformed(f"{path} by {way}", url, headers, _encoded(form, dice)[: 200 * 1024])


def _shown(known: Known, dice: random.Random, path: str, way: str) -> tuple[Pairs, Headers]:
    """How a client proves itself, right or not."""
    grant = dice.choice(["client_credentials"] * 20 + [JWT_BEARER, "password", "jwt-bearer", ""])
    form, headers = [("grant_type", grant)], []
    if way == "assertion":
        form += _assertion(dice, known.key, _good(known.key, known.client_id, known.issuer))
    elif way == "jwt bearer" and (path != "token" or dice.random() < 0.1):
        # Its key proves it elsewhere too; at the token endpoint only as the grant.
        form += _assertion(
            dice, known.bearer_key, _good(known.bearer_key, known.bearer_id, known.issuer)
        )
    elif way == "jwt bearer":
        form = [("grant_type", JWT_BEARER), ("assertion", _grant(known, dice))]
    elif way == "secret in header":
        client_id, secret = known.basic
        pair = f"{client_id}:{_maybe(dice, secret, lambda _good, dice: _text(dice))}"
        headers = [(b"authorization", b"Basic " + b64(pair.encode("utf-8", "replace")).encode())]
    else:
        client_id, secret = known.post
        right = _maybe(dice, secret, lambda _good, dice: _text(dice))
        form += [("client_id", client_id), ("client_secret", right)]
    return form, headers


def _good(key: dict[str, Any], client_id: str, issuer: str) -> str:
    return make_client_assertion(key, client_id, issuer, time.time())


def _assertion(dice: random.Random, key: dict[str, Any], good: str) -> Pairs:
    kind = dice.choice([TYPE] * 15 + [JWT_BEARER])
    assertion = _maybe(dice, good, lambda good, dice: spoilt(good, dice, key))
    return [("client_assertion_type", kind), ("client_assertion", assertion)]


def _grant(known: Known, dice: random.Random) -> str:
    """A JWT of RFC 7523 section 2.1: it says what is asked for, too."""
    now = int(time.time())
    claims: dict[str, Any] = {"aud": known.issuer, "iss": known.bearer_id, "iat": now}
    claims |= {"exp": now + 120, "jti": str(dice.getrandbits(128))}
    if dice.random() < 0.5:
        claims["scope"] = dice.choice(["catalog", "operate", f"grant:{known.grant}", _odd(dice)])
    if dice.random() < 0.3:
        claims["resource"] = dice.choice([known.issuer, known.issuer, _odd(dice)])
    if dice.random() < 0.2:
        claims["sub"] = dice.choice([known.bearer_id, known.client_id, _odd(dice)])
    good = signed(known.bearer_key, claims)
    return _maybe(dice, good, lambda good, dice: spoilt(good, dice, known.bearer_key))


def _registration(known: Known, dice: random.Random) -> Malformed:
    invitation = _maybe(dice, known.invitations[-1], lambda _good, dice: _text(dice), 0.9)
    scheme = dice.choice(["Bearer"] * 30 + ["bearer", "DPoP", "Basic", ""])
    headers = [_kind(dice, JSON, FORM), (b"authorization", _bytes(f"{scheme} {invitation}"))]
    if dice.random() < 0.05:
        headers.append((b"authorization", _bytes(f"Bearer {known.token}")))
    text = json.dumps(_metadata(known, dice))
    if dice.random() < 0.08:
        text = dice.choice(["[" * 9000, text[:-2], text + text, "NaN", "", '{"scope":1,"scope":2}'])
    return Malformed("register", "/oauth/register", headers, text.encode("utf-8", "surrogatepass"))


def _metadata(known: Known, dice: random.Random) -> Any:
    method = dice.choice(["private_key_jwt"] * 6 + ["client_secret_basic", "client_secret_post"])
    document: dict[str, Any] = {
        "client_name": "fuzzed",
        "token_endpoint_auth_method": method,
        "grant_types": ["client_credentials"],
        "dpop_bound_access_tokens": True,
        "scope": known.scopes,
    }
    if method == "private_key_jwt":
        document["jwks"] = public_jwks(known.key)
    for _ in range(dice.choice([0, 1, 1, 1, 2, 2, 3])):
        name = dice.choice([*document, *document, *document, *_OTHER_METADATA])
        document[name] = dice.choice([_odd(dice), [_odd(dice)]])
    jwks = document.get("jwks")
    if isinstance(jwks, dict) and jwks and dice.random() < 0.3:
        changed = {dice.choice(["kty", "crv", "x", "y", "kid", "alg", "use", "d"]): _odd(dice)}
        document["jwks"] = {"keys": [{**public_jwks(known.key)["keys"][0], **changed}]}
    return dice.choice([document] * 19 + [[document]])


_OTHER_METADATA = (
    *("jwks_uri", "redirect_uris", "response_types", "software_statement", "client_secret", "x"),
    *("token_endpoint_auth_signing_alg", "request_uris", "tls_client_auth_subject_dn", "client_id"),
)


def _kind(dice: random.Random, right: str, wrong: str) -> tuple[bytes, bytes]:
    return (b"content-type", dice.choice([right] * 20 + [wrong, "x/y", ""]).encode())


def _proof(known: Known, method: str, url: str, token: str | None = None) -> str:
    nonce = known.nonce or None
    return known.prover.proof(method, known.issuer + url, time.time(), nonce=nonce, token=token)


def _proofs(dice: random.Random, proof: str) -> Headers:
    return [(b"dpop", _bytes(_maybe(dice, proof, spoilt)))] * dice.choice([1, 1, 1, 1, 2])


def _maybe(
    dice: random.Random,
    good: str,
    spoil: Callable[[str, random.Random], str],
    share: float = 0.75,
) -> str:
    return good if dice.random() < share else spoil(good, dice)


def _bytes(text: str) -> bytes:
    """As a header can be sent: no line ends, no NUL."""
    raw = text.encode("utf-8", "surrogatepass")
    return raw.translate(None, b"\r\n\x00")[:30_000].strip() or b"x"


def _details(known: Known, dice: random.Random) -> Pairs:
    detail: dict[str, Any] = dice.choice(
        [
            {"type": "dataset", "offering": known.offering, "purpose": "logistics_planning"},
            {"type": "dataset", "grant_id": known.grant, "actions": ["read"]},
        ]
    )
    for _ in range(dice.choice([0, 0, 1, 2])):
        name = dice.choice([*detail, "days", "form", "actions", "accepted_terms", "locations", "x"])
        detail = {**detail, name: _odd(dice)}
    value: Any = dice.choice([[detail]] * 6 + [detail, [detail, detail], [[detail]], [], "x"])
    text = json.dumps(value)
    if dice.random() < 0.1:
        text = dice.choice(
            ["[" * 9000, text[:-2], text + text, "NaN", "{", '[{"type":1,"type":2}]']
        )
    return [("authorization_details", text)]


def _pushed(known: Known, dice: random.Random) -> Pairs:
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    asked = {
        "response_type": "code",
        "redirect_uri": dice.choice(["https://a.example/b", "http://127.0.0.1/"]),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    if dice.random() < 0.5:
        asked[dice.choice([*asked, "state", "request_uri", "scope", "resource", "dpop_jkt"])] = (
            dice.choice(["token", "plain", _text(dice)])
        )
    return list(asked.items())


def _scope(known: Known, dice: random.Random) -> Pairs:
    return [("scope", dice.choice(["catalog", "operate", f"grant:{known.grant}", "ü"]))]


_ASKS_OF: dict[str, Callable[[Known, random.Random], Pairs]] = {
    "token": lambda known, dice: dice.choice([_details, _details, _scope])(known, dice),
    "revoke": lambda known, dice: [("token", _maybe(dice, known.given_up, spoilt))],
    "introspect": lambda known, dice: [("token", _maybe(dice, known.token, spoilt))],
    "par": _pushed,
}
_ASKS: list[Callable[[Known, random.Random], Pairs]] = [
    lambda known, dice: [],
    lambda known, dice: [("scope", _text(dice))],
    lambda known, dice: [("resource", dice.choice([known.issuer, _text(dice)]))],
    lambda known, dice: [("token", known.given_up)],
    lambda known, dice: [("client_id", dice.choice([known.client_id, _text(dice)]))],
    lambda known, dice: [("client_id", known.client_id), ("client_secret", _text(dice))],
    lambda known, dice: [("assertion", _text(dice))],
    _scope,
    _details,
    _pushed,
]
_AUTHORIZATIONS: list[Callable[[Known, random.Random], str]] = [
    lambda known, dice: (
        "Basic " + b64(f"{known.client_id}:{_text(dice)}".encode("utf-8", "replace"))
    ),
    lambda known, dice: "Basic " + _text(dice),
    lambda known, dice: "Bearer " + known.token,
    lambda known, dice: _text(dice),
]


def _odd(dice: random.Random) -> Any:
    return dice.choice(ODD)


def _text(dice: random.Random) -> str:
    odd = _odd(dice)
    return odd if isinstance(odd, str) else json.dumps(odd)


def _encoded(form: Pairs, dice: random.Random) -> bytes:
    if dice.random() < 0.05:
        form = [*form, dice.choice(form)]
    if dice.random() < 0.1:
        form = [pair for pair in form if dice.random() < 0.7]
    pairs = [
        f"{name}={quote_plus(value.encode('utf-8', 'surrogatepass'))}".encode()
        for name, value in form
    ]
    dice.shuffle(pairs)
    body = b"&".join(pairs)
    spoilt_how = dice.randrange(30)
    if spoilt_how == 0:
        return body + dice.choice([b"&", b"&&&", b"&x", b"&=y", b"&%zz=1", b"&%ff=1", b"&a=%00"])
    if spoilt_how == 1:
        return body + b"&pad=" + b"x" * dice.choice([1000, 40_000, 150_000])
    if spoilt_how == 2:
        return bytes(dice.randrange(256) for _ in range(200))
    return body
