"""The log's entries for auditors: listed, searched and exported."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from exchange.clock import rfc3339
from exchange.errors import BadInput
from exchange.formats import canonical
from exchange.http import (
    Body,
    Caller,
    Cursor,
    Moment,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    milliseconds,
    problems,
)
from exchange.ledger.api.sight import sight_in_log
from exchange.ledger.export import Format, export_leaves
from exchange.ledger.ledger import Leaf, Ledger
from exchange.ledger.search import Wanted, search

_ULID = "[0-9a-hjkmnp-tv-z]{26}"
_LOG = "[0-9a-z]{4}_"
PIECE = 256 * 1024


class LeafOut(Body):
    """One entry of the log, as an auditor reads it."""

    index: int
    event_id: str
    type: str
    subject: str
    time: str
    consumer_id: str | None
    provider_id: str | None
    event: dict[str, Any] = Field(description="The entry: CloudEvents 1.0")


def filters(
    organisation: Annotated[
        str | None,
        Query(pattern=f"^org_{_ULID}$", examples=["org_" + "0" * 26], description="It names it"),
    ] = None,
    offering: Annotated[
        str | None, Query(pattern=f"^off_{_ULID}$", examples=["off_" + "0" * 26])
    ] = None,
    grant: Annotated[
        str | None, Query(pattern=f"^grt_{_LOG}{_ULID}$", examples=["grt_0000_" + "0" * 26])
    ] = None,
    request: Annotated[
        str | None, Query(pattern=f"^req_{_LOG}{_ULID}$", examples=["req_0000_" + "0" * 26])
    ] = None,
    kind: Annotated[
        str | None,
        Query(
            pattern=r"^[a-z_]{1,40}\.[a-z_]{1,40}\.v[0-9]{1,3}$", examples=["grant.activated.v1"]
        ),
    ] = None,
    reason: Annotated[
        str | None, Query(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["purpose_not_offered"])
    ] = None,
    since: Moment = None,
    until: Moment = None,
    start: Annotated[int, Query(ge=0, le=2**53 - 1, description="From this index on")] = 0,
    order: Literal["oldest", "newest"] = "oldest",
) -> Wanted:
    """Read what is wanted of the log: entries that meet every filter; `until` is not included."""
    named = {
        "org": organisation,
        "off": offering,
        "grt": grant,
        "req": request,
        "kind": kind,
        "reason": reason,
    }
    return Wanted(
        refs=frozenset(f"{name}:{value}" for name, value in named.items() if value is not None),
        since_ms=milliseconds("since", since),
        until_ms=milliseconds("until", until),
        start=start,
        newest=order == "newest",
    )


Filters = Annotated[Wanted, Depends(filters)]


SignManifest = Callable[[dict[str, Any]], str]
_KINDS: dict[Format, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {kind.partition(";")[0]: {} for kind in _KINDS.values()},
        "headers": {
            "Content-Digest": {
                "schema": {"type": "string"},
                "description": "sha-256 of the file (RFC 9530)",
            },
            "Exchange-Manifest": {
                "schema": {"type": "string"},
                "description": "A JWT (export-manifest+jwt) that a key of /oauth/jwks signed: what "
                "the file is and holds, and out of which checkpoint of the log it was taken",
            },
        },
    }
}


def router(ledger: Ledger, page_items: int, issuer: str, sign: SignManifest) -> APIRouter:
    """Return the routes of the log's entries."""
    routes = APIRouter(tags=["log"])
    auditor = caller_with("log", "auditor", "operator")
    one_by_one = asyncio.Lock()  # an export takes a processor for seconds

    @routes.get("/v1/log/entries", responses=problems(400, 401, 403, 422, 503))
    async def get_leaves(
        caller: Annotated[Caller, auditor],
        wanted: Filters,
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[LeafOut]:
        """List and search entries in the log's order or against it (auditor, operator).

        An auditor sees what its engagements cover. A page may hold fewer than `limit`, even none,
        and still name a `next`.
        """
        wanted = replace(wanted, sight=sight_in_log(caller))
        found = await search(ledger, wanted, limit, _index(cursor))
        more = None if found.next is None else encode_cursor(str(found.next))
        return Page(items=[leaf_out(leaf) for leaf in found.leaves], next=more)

    @routes.get(
        "/v1/log/export",
        response_class=StreamingResponse,
        responses={**_EXPORT, **problems(400, 401, 403, 422, 503)},
    )
    async def export_entries(
        caller: Annotated[Caller, auditor],
        wanted: Filters,
        form: Annotated[Format, Query(alias="format")] = "jsonl",
    ) -> StreamingResponse:
        """Export entries as one file with a signed manifest: 100,000 at most (auditor, operator).

        JSON Lines hold the entries' own bytes. A cell of CSV that a spreadsheet might take for a
        formula begins with an apostrophe. An auditor exports what its engagements cover.
        """
        wanted = replace(wanted, sight=sight_in_log(caller))
        async with one_by_one:
            made = await export_leaves(ledger, wanted, form)
        claims = {"iss": issuer, "client_id": caller.client_id, **made.claims}
        digest = b64encode(made.sha256).decode()
        headers = {
            "Cache-Control": "private, no-store",
            "Content-Disposition": f'attachment; filename="log.{form}"',
            "Content-Digest": f"sha-256=:{digest}:",
            "Content-Length": str(made.length),
            "Exchange-Manifest": sign(claims),
        }
        return StreamingResponse(_pieces(made.file), media_type=_KINDS[form], headers=headers)

    return routes


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece


def _index(cursor: str | None) -> int | None:
    after = decode_cursor(cursor)
    if after is None:
        return None
    if not after.isdecimal() or len(after) > 16:
        raise BadInput("cursor_unknown", "This cursor is not one of this list's.")
    return int(after)


def leaf_out(leaf: Leaf) -> LeafOut:
    """Show an entry as an auditor reads it."""
    return LeafOut(
        index=leaf.index,
        event_id=leaf.event_id,
        type=leaf.type,
        subject=leaf.subject,
        time=rfc3339(leaf.time_ms),
        consumer_id=leaf.consumer_id,
        provider_id=leaf.provider_id,
        event=canonical.decode(leaf.entry),
    )
