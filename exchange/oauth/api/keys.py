"""Routes of the keys that sign tokens, for the operator; the keys themselves are never shown."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from exchange.clock import rfc3339
from exchange.http import Body, Caller, JSONRoute, caller_with, problems
from exchange.ledger.ledger import Ledger
from exchange.oauth.keys import NEVER, TokenKeys
from exchange.oauth.rotate_keys import (
    TokenKeyState,
    retire_token_keys,
    rotate_token_keys,
    token_key_state,
)


class RotationIn(Body):
    """How soon a new key is to sign."""

    at_once: bool = Field(
        False,
        description="Within seconds, as after a theft; else once copies of the JWK Set have it",
        examples=[False],
    )


class TokenKeyOut(Body):
    """A key, by the id that tokens name."""

    id: str
    signs: bool = Field(description="Whether it is the one that signs")
    signs_from: str | None = Field(description="Null: the first, or one that is being added")


class TokenKeysOut(Body):
    """The keys of the JWK Set, the newest first."""

    keys: list[TokenKeyOut]


def router(ledger: Ledger, keys: TokenKeys) -> APIRouter:
    """Return the routes of the token keys."""
    routes = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=JSONRoute)
    operator = caller_with("operate", "operator", own_affairs=True)

    @routes.get("/token", responses=problems(401, 403, 422, 503))
    async def get_token_keys(caller: Annotated[Caller, operator]) -> TokenKeysOut:
        """Show which key signs tokens, and which others are published (operator)."""
        return _out(token_key_state(keys))

    @routes.post("/token/rotate", responses=problems(400, 401, 403, 409, 415, 422, 503))
    async def post_rotate_token(
        body: RotationIn, caller: Annotated[Caller, operator]
    ) -> TokenKeysOut:
        """Have a new key sign tokens, once everybody knows it: it is published now (operator)."""
        return _out(await rotate_token_keys(ledger, keys, caller, at_once=body.at_once))

    @routes.post("/token/retire", responses=problems(401, 403, 409, 422, 503))
    async def post_retire_token(caller: Annotated[Caller, operator]) -> TokenKeysOut:
        """Forget the older keys: what they signed is refused from now on (operator)."""
        return _out(await retire_token_keys(ledger, keys, caller))

    return routes


def _out(state: list[TokenKeyState]) -> TokenKeysOut:
    return TokenKeysOut(
        keys=[
            TokenKeyOut(
                id=each.kid,
                signs=each.signs,
                signs_from=rfc3339(each.signs_from * 1000) if 0 < each.signs_from < NEVER else None,
            )
            for each in state
        ]
    )
