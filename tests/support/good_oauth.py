"""Good requests of the authorization server."""

import time
from collections.abc import Callable

import httpx

from exchange.client.core import ASSERTION
from exchange.client.session import Session
from exchange.formats.tokens import make_client_assertion
from tests.support.story import World

Send = Callable[..., httpx.Response]
Good = Callable[[World, Send], httpx.Response]


def assertion_form(session: Session) -> dict[str, str]:
    """The part of a token request by which a client proves itself."""
    profile = session.profile
    assertion = make_client_assertion(profile.key, profile.client_id, profile.url, time.time())
    return {"client_assertion_type": ASSERTION, "client_assertion": assertion}


def _token(world: World, send: Send) -> httpx.Response:
    form = {"grant_type": "client_credentials", **assertion_form(world.sme)}
    return send("nobody", "/oauth/token", data=form)


def _about_a_token(world: World, send: Send, act: str) -> httpx.Response:
    form = {"token": "none of ours", **assertion_form(world.sme)}
    return send("nobody", f"/oauth/{act}", data=form)


def _push(world: World, send: Send) -> httpx.Response:
    form = {
        "response_type": "code",
        "redirect_uri": "https://app.example/back",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    return send("nobody", "/oauth/par", data={**form, **assertion_form(world.sme)})


def _read(path: str) -> Good:
    return lambda world, send: send("nobody", path)


_METADATA = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/gateway",
    "/oauth/jwks",
)
OAUTH: dict[str, Good] = {
    "POST /oauth/token": _token,
    "POST /oauth/revoke": lambda w, send: _about_a_token(w, send, "revoke"),
    "POST /oauth/introspect": lambda w, send: _about_a_token(w, send, "introspect"),
    "POST /oauth/par": _push,
    **{f"GET {path}": _read(path) for path in _METADATA},
}
# The last, in this order: where a new key signs, retiring the older ones ends every token here.
TOKEN_KEYS: dict[str, Good] = {
    "GET /v1/keys/token": lambda w, send: send("operator", "/v1/keys/token"),
    "POST /v1/keys/token/retire": lambda w, send: send("operator", "/v1/keys/token/retire"),
    "POST /v1/keys/token/rotate": lambda w, send: send(
        "operator", "/v1/keys/token/rotate", json={"at_once": False}
    ),
}
