"""The log over HTTP: checkpoint, tiles and key for everyone, bundles and receipts for parties."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from exchange.errors import NotFound
from exchange.formats.errors import FormatError
from exchange.formats.tiles import parse_tile_path
from exchange.http import Caller, caller_with, problems
from exchange.ledger.api.sight import assert_sees_whole_log
from exchange.ledger.ledger import Leaf, Ledger

IMMUTABLE = "public, max-age=31536000, immutable"
EventId = Annotated[
    str,
    Path(pattern="^evt_[0-9a-z]{4}_[0-9a-hjkmnp-tv-z]{26}$", examples=["evt_0000_" + "0" * 26]),
]
_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}}
_BYTES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


def router(ledger: Ledger) -> APIRouter:
    """Return the routes of the log's tiles and receipts."""
    routes = APIRouter(tags=["log"])
    auditor = caller_with("log", "auditor", "operator")
    party = caller_with("grants")

    @routes.get("/log/checkpoint", response_class=Response, responses={**_TEXT, **problems(503)})
    async def get_checkpoint() -> Response:
        """Return the newest signed checkpoint (C2SP tlog-checkpoint)."""
        return _text(await ledger.checkpoint(), "no-cache")

    @routes.get("/log/key", response_class=Response, responses=_TEXT)
    async def get_key() -> Response:
        """Return the log's verifier key. Whoever judges this exchange gets it elsewhere."""
        return _text(ledger.verifier_key + "\n", "no-cache")

    @routes.get(
        "/log/tile/entries/{path:path}",
        response_class=Response,
        responses={**_BYTES, **problems(401, 403, 404, 422, 503)},
    )
    async def get_entries(
        path: Annotated[str, Path(max_length=100, examples=["000.p/1"])],
        caller: Annotated[Caller, auditor],
    ) -> Response:
        """Return an entry bundle (C2SP tlog-tiles): for auditors of the whole log.

        Grants are business secrets, and a bundle holds everybody's.
        """
        assert_sees_whole_log(caller)
        return await _tile(ledger, "tile/entries/" + path, private=True)

    @routes.get(
        "/log/tile/{level}/{path:path}",
        response_class=Response,
        responses={**_BYTES, **problems(404, 422, 503)},
    )
    async def get_tile(
        level: Annotated[str, Path(max_length=2, examples=["0"])],
        path: Annotated[str, Path(max_length=100, examples=["000.p/1"])],
    ) -> Response:
        """Return a tile of hashes (C2SP tlog-tiles)."""
        return await _tile(ledger, f"tile/{level}/{path}", private=False)

    @routes.get(
        "/v1/receipts/{event_id}",
        response_class=Response,
        responses={**_TEXT, **problems(401, 403, 404, 422, 503)},
    )
    async def get_receipt(event_id: EventId, caller: Annotated[Caller, party]) -> Response:
        """Return an event's receipt (C2SP tlog-proof): its parties, and auditors engaged there."""
        found = await ledger.receipt(event_id)
        if found is None or not _may_read(found[0], caller):
            raise NotFound("event_unknown", "No such event.")
        return _text(found[1].encode(), "private, no-store")

    return routes


def _may_read(leaf: Leaf, caller: Caller) -> bool:
    return caller.reads(*leaf.parties)


def _text(text: str, cache: str) -> Response:
    return Response(text, media_type="text/plain; charset=utf-8", headers={"Cache-Control": cache})


async def _tile(ledger: Ledger, path: str, *, private: bool) -> Response:
    unknown = NotFound("tile_unknown", "The log holds no such tile.")
    try:
        tile = parse_tile_path(path)
    except FormatError as error:
        raise unknown from error

    data = await ledger.tile(tile)
    if data is None:
        raise unknown
    cache = "private, no-store" if private else IMMUTABLE
    return Response(data, media_type="application/octet-stream", headers={"Cache-Control": cache})
