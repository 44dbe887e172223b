"""Routes of status lists: for connectors, which are clients of the list's own platform."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from exchange.clock import now_ms
from exchange.errors import NotFound
from exchange.formats.status_token import LARGEST_SIZE, LIST_TYPE, list_claims
from exchange.http import Caller, caller_with, problems
from exchange.participants.store import Participants
from exchange.status.feed import StatusFeed
from exchange.status.model import list_uri
from exchange.status.stream import STREAM_SECONDS, Line, Sign, status_events
from exchange.watchers import Watchers

MEDIA_TYPE: Final = "application/statuslist+jwt"
EVENTS: Final = "text/event-stream"
TTL_SECONDS: Final = 10
LIFETIME_SECONDS: Final = 60
"""More than the 10 s, for who reads by the draft alone and whose clock is some seconds off."""

_UNKNOWN = NotFound("status_list_unknown", "There is no such status list, or it is not yours.")

OrgId = Annotated[str, Path(pattern="^org_[0-9a-hjkmnp-tv-z]{26}$", examples=["org_" + "0" * 26])]
Nonce = Annotated[
    str,
    Query(
        pattern="^[A-Za-z0-9_-]{16,64}$",
        examples=["Zm9yIHRoaXMgc3RyZWFt"],
        description="Random, for this one stream: its events repeat it",
    ),
]
Seconds = Annotated[
    int,
    Query(
        ge=0,
        le=STREAM_SECONDS,
        description="How long the stream lives; 0: what changed already, and no more",
    ),
]
LastEventId = Annotated[
    int,
    Header(
        alias="Last-Event-ID",
        ge=0,
        le=LARGEST_SIZE,
        description="`log_index` of the list, or of the last event; without it, the log's start",
    ),
]


def router(
    feed: StatusFeed, participants: Participants, watchers: Watchers, sign: Sign, issuer: str
) -> APIRouter:
    """Return the routes; `sign` takes a `typ` and claims."""
    routes = APIRouter(prefix="/v1/status-lists", tags=["status"])
    connector = caller_with("status", "platform", "operator", own_affairs=True)

    async def check(org_id: str, caller: Caller) -> None:
        if caller.operates:
            known = await participants.organisations.get(org_id)
            if known is not None and "platform" in known.roles:
                return
        elif org_id == caller.org_id and caller.may("platform"):
            return
        raise _UNKNOWN

    @routes.get(
        "/{org_id}",
        response_class=Response,
        responses={
            200: {"description": "A Status List Token", "content": {MEDIA_TYPE: _TEXT}},
            **problems(401, 403, 404, 422, 503),
        },
    )
    async def get_status_list(org_id: OrgId, caller: Annotated[Caller, connector]) -> Response:
        """Fetch a platform's status list: which of its grants stand (signed, two bits a grant).

        Status 1 is revoked or ended, 2 suspended. `log_index` is the size of the log at which it is
        so: `/events` goes on from there. Older than 10 s it must not be relied upon.
        """
        await check(org_id, caller)
        now = now_ms() // 1000  # before the look: what a list says is never younger than it claims
        size, statuses = await feed.store.listed(org_id)

        def signed() -> str:
            claims = list_claims(
                issuer,
                list_uri(issuer, org_id),
                statuses,
                size,
                now=now,
                ttl=TTL_SECONDS,
                lifetime=LIFETIME_SECONDS,
            )
            return sign(LIST_TYPE, claims)

        token = await asyncio.to_thread(signed)
        return Response(token, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})

    @routes.get(
        "/{org_id}/events",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Server-sent events, for a minute", "content": {EVENTS: _ANY}},
            **problems(401, 403, 404, 422, 503),
        },
    )
    async def follow_status_list(
        request: Request,
        org_id: OrgId,
        nonce: Nonce,
        caller: Annotated[Caller, connector],
        last_event_id: LastEventId = 0,
        seconds: Seconds = STREAM_SECONDS,
    ) -> StreamingResponse:
        """Follow a platform's status list: what changes, as it does, and a heartbeat every 2 s.

        The data of `delta` and `heartbeat` is a signed JWT with `nonce`, `previous_index` and
        `log_index` (the log's sizes before and after), `as_of_ms` (when the exchange looked, from
        the request on) and `changes`, pairs of index and status. `reload` means: too much happened
        since Last-Event-ID, fetch the list again.
        """
        began = time.monotonic()
        await check(org_id, caller)
        line = Line(org_id, list_uri(issuer, org_id), nonce, began, issuer, sign)

        async def events() -> AsyncGenerator[bytes, None]:
            with watchers.watch((caller.client_id, caller.org_id)) as changed:

                def is_over() -> bool:  # who it is may have changed, or the server closes
                    return changed.is_set() or bool(request.scope["state"].get("is_closing"))

                told = status_events(feed, line, last_event_id, seconds, is_over)
                async with aclosing(told):
                    async for event in told:
                        yield event

        found = events()
        first = await anext(found)  # what cannot be begun is refused with a problem document

        async def all_of_them() -> AsyncGenerator[bytes, None]:
            async with aclosing(found):  # whoever goes away is told nothing more, at once
                yield first
                async for event in found:
                    yield event

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(all_of_them(), media_type=EVENTS, headers=headers)

    return routes


_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_ANY: dict[str, Any] = {"schema": {}}  # readers disagree on what the type of a stream is
