"""Routes of platforms' connections: parse, call one verb, answer."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query

from exchange.connections.api.documents import (
    ChangeIn,
    ConnectionIn,
    ConnectionOut,
    FindingOut,
    ReplacementIn,
    connection_out,
)
from exchange.connections.change_connection import (
    change_connection,
    remove_connection,
    replace_credential,
)
from exchange.connections.check_connection import check_connection
from exchange.connections.desk import ConnectionDesk
from exchange.connections.model import Checker, Kind
from exchange.connections.register_connection import register_connection
from exchange.http import (
    Caller,
    Cursor,
    IdempotencyKey,
    JSONRoute,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    problems,
)

ConnectionId = Annotated[
    str, Path(pattern="^con_[0-9a-hjkmnp-tv-z]{26}$", examples=["con_" + "0" * 26])
]


def router(desk: ConnectionDesk, checkers: Mapping[Kind, Checker], page_items: int) -> APIRouter:
    """Return the routes of connections."""
    routes = APIRouter(prefix="/v1", tags=["connections"], route_class=JSONRoute)
    # Programs and publishers by `offerings`, owners by `members`: no other people have either.
    platform = caller_with("offerings members", "platform", own_affairs=True)

    @routes.post(
        "/connections", status_code=201, responses=problems(400, 401, 403, 409, 415, 422, 503)
    )
    async def post_connection(
        body: ConnectionIn,
        caller: Annotated[Caller, platform],
        idempotency_key: IdempotencyKey = None,
    ) -> ConnectionOut:
        """Register a store or service of your own, for offerings to name as `source.connection`.

        What lets one in is encrypted at rest and never shown again; it can be replaced.
        """
        made = await register_connection(
            desk, caller, body.kind, body.address(), body.given(), idempotency_key
        )
        return connection_out(made)

    @routes.get("/connections", responses=problems(400, 401, 403, 422, 503))
    async def get_connections(
        caller: Annotated[Caller, platform],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[ConnectionOut]:
        """List your organisation's connections."""
        found = await desk.store.list_own(caller.org_id, decode_cursor(cursor), limit + 1)
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[connection_out(each) for each in found[:limit]], next=more)

    @routes.get("/connections/{connection_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_connection(
        connection_id: ConnectionId, caller: Annotated[Caller, platform]
    ) -> ConnectionOut:
        """Show a connection of your organisation."""
        return connection_out(await desk.store.own(caller.org_id, connection_id))

    @routes.put(
        "/connections/{connection_id}",
        responses=problems(400, 401, 403, 404, 415, 422, 503),
    )
    async def put_connection(
        connection_id: ConnectionId, body: ChangeIn, caller: Annotated[Caller, platform]
    ) -> ConnectionOut:
        """Change a connection's address and settings; its kind stays.

        Leading to another host needs the credential anew: a stored one is sent to no other.
        """
        given = body.given()
        return connection_out(
            await change_connection(desk, caller, connection_id, body.address(), given)
        )

    @routes.put(
        "/connections/{connection_id}/credential",
        responses=problems(400, 401, 403, 404, 415, 422, 503),
    )
    async def put_credential(
        connection_id: ConnectionId, body: ReplacementIn, caller: Annotated[Caller, platform]
    ) -> ConnectionOut:
        """Replace what lets one in: the new one is used from the next request on."""
        given = body.credential.credential() if body.credential else None
        return connection_out(await replace_credential(desk, caller, connection_id, given))

    @routes.delete(
        "/connections/{connection_id}",
        status_code=204,
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def delete_connection(
        connection_id: ConnectionId, caller: Annotated[Caller, platform]
    ) -> None:
        """Remove a connection and its credential, unless a published offering is served by it."""
        await remove_connection(desk, caller, connection_id)

    @routes.post("/connections/{connection_id}/check", responses=problems(401, 403, 404, 422, 503))
    async def post_check(
        connection_id: ConnectionId, caller: Annotated[Caller, platform]
    ) -> FindingOut:
        """Try a connection as it would be used, and say what came of it."""
        found = await check_connection(desk, checkers, caller, connection_id)
        return FindingOut(works=found.works, code=found.code, detail=found.detail)

    return routes
