"""Routes of the master keys, for the operator; no key is ever shown, only ids."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from exchange.connections.rotate_master import (
    MasterState,
    master_state,
    retire_master,
    rotate_master,
)
from exchange.connections.store import ConnectionStore
from exchange.connections.vault import Vault
from exchange.http import Body, Caller, JSONRoute, caller_with, problems
from exchange.ledger.ledger import Ledger


class MasterKeyOut(Body):
    """A master key."""

    id: str
    seals: bool = Field(description="Whether it is the one that seals")
    present: bool = Field(description="Whether the keys folder has it")
    credentials: int = Field(description="How many credentials are sealed by it")


class MasterKeysOut(Body):
    """The master keys, the newest first."""

    keys: list[MasterKeyOut]


def router(ledger: Ledger, store: ConnectionStore, vault: Vault) -> APIRouter:
    """Return the routes of the master keys."""
    routes = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=JSONRoute)
    operator = caller_with("operate", "operator", own_affairs=True)

    @routes.get("/master", responses=problems(401, 403, 422, 503))
    async def get_master(caller: Annotated[Caller, operator]) -> MasterKeysOut:
        """Show which master key seals, and what others still have sealed (operator)."""
        return _out(await master_state(store, vault))

    @routes.post("/master/rotate", responses=problems(401, 403, 409, 422, 503))
    async def post_rotate(caller: Annotated[Caller, operator]) -> MasterKeysOut:
        """Have a new master key seal; what others sealed is sealed anew meanwhile (operator)."""
        return _out(await rotate_master(ledger, store, vault, caller))

    @routes.post("/master/retire", responses=problems(401, 403, 409, 422, 503))
    async def post_retire(caller: Annotated[Caller, operator]) -> MasterKeysOut:
        """Drop the older master keys, unless a credential is still sealed by one (operator)."""
        return _out(await retire_master(ledger, store, vault, caller))

    return routes


def _out(state: MasterState) -> MasterKeysOut:
    ids = [*state.key_ids, *(each for each in state.sealed if each not in state.key_ids)]
    return MasterKeysOut(
        keys=[
            MasterKeyOut(
                id=each,
                seals=each == state.key_id,
                present=each in state.key_ids,
                credentials=state.sealed.get(each, 0),
            )
            for each in ids
        ]
    )
