"""A small world for token requests: two organisations, their clients, a real SQLite ledger."""

import contextlib
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fastapi import FastAPI
from joserfc import jwk
from sqlmodel import SQLModel

from exchange.clock import now_ms
from exchange.db import Database
from exchange.errors import ExchangeError, NotFound
from exchange.formats.tokens import generate_client_key, parse_public_jwks, public_jwks
from exchange.http import caller_with, problem_response
from exchange.ids import new_id
from exchange.ledger.commit import ONCE
from exchange.ledger.keep import Keeper
from exchange.ledger.ledger import Ledger
from exchange.ledger.start import load_signer
from exchange.ledger.write import Insert, Update, Write
from exchange.oauth.api import tokens
from exchange.oauth.api.token import router
from exchange.oauth.assertion import TYPE
from exchange.oauth.authenticate import Authenticator
from exchange.oauth.gate import ClientGate
from exchange.oauth.introspect import Introspection
from exchange.oauth.keys import load_token_keys
from exchange.oauth.limits import EndpointLimits
from exchange.oauth.nonces import load_nonces
from exchange.oauth.revoke import RevokedTokens
from exchange.participants.store import CLIENTS, ORGANISATIONS, Participants
from exchange.settings import Settings

ISSUER = "https://exchange.example"


def b64(data):
    """BASE64URL of bytes, or of a value's JSON."""
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(token):
    """What a token says; verifies nothing."""
    part = token.split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def sign(key, signed: bytes) -> bytes:
    """Sign as RFC 7518 section 3 wants it, with a private JWK; by other means than the product."""
    private = jwk.import_key(key).private_key
    if key["kty"] == "EC":
        r, s = decode_dss_signature(private.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if key["kty"] == "RSA":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return private.sign(signed, pss, hashes.SHA256())
    return private.sign(signed)


def forge(header, claims, key=None):
    """A JWS with any header (or raw bytes) and any claims, signed with `key` or not at all."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(sign(key, signed.encode())) if key else ''}"


class World:
    """Everything that a token request meets. `offset_ms` moves the exchange's clock."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(issuer=ISSUER, state_dir=folder)
        self.db = Database(f"sqlite:///{folder / 'exchange.sqlite3'}")
        SQLModel.metadata.create_all(self.db.writer)
        signer = load_signer(self.settings.keys_dir, "log.example/a")
        self.ledger = Ledger(self.db, Keeper(self.settings.checkpoints), signer)
        self.participants = Participants(self.db)
        self.keys = load_token_keys(self.settings.keys_dir)
        self.revoked = RevokedTokens(self.clock)
        self.ledger.listeners.append(self.revoked.drop)
        self.nonces = load_nonces(self.settings.keys_dir)
        self.offset_ms = 0
        self.grants = {}  # id -> GrantForToken, or an error to raise, or a callable giving either
        self.asked = []
        self.standings = {}  # id -> Standing
        self.client_key = generate_client_key()
        self.app = self._app()

    def _app(self):
        app = FastAPI()
        app.add_exception_handler(ExchangeError, problem_response)
        parts = (self.settings, self.participants)
        self.limits = EndpointLimits(1_000_000, 1_000_000)
        door = (self.ledger, self, self.secret_fits, self.limits, self.clock)
        app.include_router(router(self.keys, self.nonces, *parts, *door))
        known = (self.secret_fits, self.limits, self.clock)
        gate = ClientGate(ISSUER, self.participants, self.ledger, *known)
        revoked = self.revoked
        asked = Introspection(self.keys, *parts, self, revoked, self.clock)
        rest = (self.nonces, self.settings, self.ledger, self.clock)
        app.include_router(tokens.router(gate, asked, *rest))
        app.state.authenticate = self.authenticator()

        catalog_caller = caller_with("catalog")

        @app.get("/v1/me")
        async def me(caller=catalog_caller):
            return {"client_id": caller.client_id, "scopes": sorted(caller.scopes)}

        return app

    def clock(self):
        return now_ms() + self.offset_ms

    def authenticator(self):
        parts = (self.settings, self.participants, self.clock)
        return Authenticator(lambda: self.keys.public, self.nonces, *parts, revoked=self.revoked)

    def secret_fits(self, client, secret):
        return client is not None and client.secret_hash == f"hash of {secret}"

    async def standing(self, grant_id):
        return self.standings.get(grant_id)

    async def authorize(self, client, organisation, grant_id, *, fresh):
        self.asked.append((client.id, organisation.id, grant_id))
        found = self.grants.get(grant_id, NotFound("grant_unknown", "No such grant."))
        if callable(found):
            found = await found()
        if isinstance(found, Exception):
            raise found
        return found

    async def settle(self):
        """Register one SME with one client, the path's ordinary actor; forget what was before."""
        self.offset_ms = 0
        self.grants.clear()
        self.asked.clear()
        self.org_id = await self.add_organisation("sme")
        self.client_id = await self.add_client(self.org_id, public_jwks(self.client_key))

    async def add_organisation(self, *roles, status="active"):
        row = {
            "id": new_id("org"),
            "name_en": "Example",
            "name_zh": "例",
            "roles": list(roles),
            "status": status,
            "attributes": {},
            "rev": 1,
            "created_ms": now_ms(),
        }
        await self.ledger.commit(Write(inserts=[Insert(ORGANISATIONS, row)]))
        return row["id"]

    async def add_client(self, org_id, jwks, status="active", *, unchecked=False, **more):
        row = {
            "id": new_id("cli"),
            "org_id": org_id,
            "name": "a program",
            "jwks": jwks if unchecked else parse_public_jwks(jwks),
            "status": status,
            "rev": 1,
            "created_ms": now_ms(),
            **more,
        }
        await self.ledger.commit(Write(inserts=[Insert(CLIENTS, row)]))
        return row["id"]

    async def change(self, table, row_id, rev, **values):
        """Change a row behind the caches' back, as another worker would."""
        await self.ledger.commit(Write(updates=[Update(table, row_id, rev, values)]))

    def claims(self, **changes):
        """The claims of a good assertion, with changes; None takes a claim away."""
        now = int(time.time()) + self.offset_ms // 1000
        good = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": ISSUER,
            "jti": new_id("jti"),
            "iat": now,
            "exp": now + 60,
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    def assertion(self, *, header=None, key=None, **changes):
        """A good assertion with changes, signed by hand."""
        key = key or self.client_key
        header = {"alg": "ES256", "kid": self.client_key["kid"]} if header is None else header
        return forge(header, self.claims(**changes), key)

    def form(self, assertion=None, **changes):
        """The parameters of a good token request, with changes."""
        good = {
            "grant_type": "client_credentials",
            "client_assertion_type": TYPE,
            "client_assertion": assertion or self.assertion(),
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    def http(self):
        """A client of the app; an exception in a route is the test's exception."""
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    async def post(self, assertion=None, **changes):
        """Ask for a token with the ordinary form; what the assertion lacks is filled in."""
        async with self.http() as http:
            return await http.post("/oauth/token", data=self.form(assertion, **changes))

    async def me(self, token):
        """Call an API route with a token."""
        async with self.http() as http:
            return await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})

    def spent(self):
        """How many assertions of the ordinary client the ledger holds as used."""
        mine = ONCE.c.key.startswith(f"assertion:{self.client_id}:")
        return self.db.read_now(lambda c: len(c.execute(ONCE.select().where(mine)).all()))

    def close(self):
        self.ledger.close()
        self.db.close()


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """One ledger for a module's tests."""
    with contextlib.closing(World(tmp_path_factory.mktemp("world"))) as made:
        yield made


@pytest.fixture
async def world(shared_world):
    """The module's world with a new organisation and client for each test."""
    await shared_world.settle()
    return shared_world


def refused(answer, error="invalid_client"):
    """Assert an error of RFC 6749 section 5.2 that carries no token, and return its words."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["error"] == error, body
    assert "access_token" not in body
    return body["error_description"]
