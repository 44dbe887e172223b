"""ETags: to keep an answer and ask whether it still holds, and to change only what was read."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from exchange.errors import BadInput
from exchange.http import JSONRoute, problems

KEPT = {"Vary": "Authorization", "Cache-Control": "private, no-cache"}
UNCHANGED = {
    "description": "What If-None-Match names still holds",
    "headers": {"ETag": {"schema": {"type": "string"}}},
}


class TaggedRoute(JSONRoute):
    """A route whose good answers to GET have an ETag: of the bytes, so of what this caller sees."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Return the framework's handler, with 304 for whoever has the answer already."""
        handle = super().get_route_handler()

        async def tagged(request: Request) -> Response:
            response = await handle(request)
            if request.method != "GET" or response.status_code != 200:
                return response
            tag = tag_of(response.body)
            headers = {**KEPT, "ETag": tag}
            if is_named(tag, request.headers.getlist("if-none-match")):
                return Response(status_code=304, headers=headers)
            response.headers.update(headers)
            return response

        return tagged


def tag_of(body: bytes | memoryview) -> str:
    """Return the strong ETag of an answer's bytes."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def require_match(given: list[str], shown: BaseModel) -> None:
    """Refuse a change of what is not any more as If-Match names it (RFC 9110 13.1.1), with 412."""
    if not given:
        return
    tag = tag_of(JSONResponse(jsonable_encoder(shown)).body)
    named = {each.strip() for field in given for each in field.split(",")}  # a weak one never fits
    if tag not in named and "*" not in named:
        raise BadInput(
            "precondition_failed",
            "It is not what If-Match names: it was changed meanwhile.",
            status=412,
            hint="Read it again, and make your change to what it is now.",
            headers={"ETag": tag},
        )


def is_named(tag: str, given: list[str]) -> bool:
    """Whether If-None-Match names this tag, by weak comparison (RFC 9110 8.8.3.2), or `*`."""
    named = {each.strip().removeprefix("W/") for field in given for each in field.split(",")}
    return tag in named or "*" in named


def tagged(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses of a tagged GET: 304, and problems of these statuses."""
    return {304: UNCHANGED, **problems(*statuses)}
