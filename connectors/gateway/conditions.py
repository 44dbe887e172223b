"""Conditional requests against one strong ETag (RFC 9110 section 13) and the range that is left.

There is no Last-Modified, so conditions on dates are ignored, as sections 13.1.3 and 13.1.4 say,
and an If-Range with a date never holds.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Header, Request

from connectors.gateway.problems import GatewayProblem
from connectors.gateway.ranges import NotSatisfiable, Span, parse_range

_TAG = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|\Z)')
_GAP = re.compile(r"[ \t]*,")
_ONCE = ("range", "if-range")


class Conditions:
    """The conditional headers of a request; take it as a dependency of a route."""

    def __init__(
        self,
        request: Request,
        range: Annotated[  # noqa: A002 - the parameter's name is its name in the documentation
            str | None,
            Header(
                max_length=1000,
                description="One range: `bytes=FIRST-LAST`",
                examples=["bytes=0-99"],
            ),
        ] = None,
        if_range: Annotated[
            str | None, Header(max_length=1000, description="Honour Range only for this ETag")
        ] = None,
        if_match: Annotated[
            str | None, Header(max_length=8000, description="Deliver only these ETags, or 412")
        ] = None,
        if_none_match: Annotated[
            str | None, Header(max_length=8000, description="Answer 304 for these ETags")
        ] = None,
    ) -> None:
        for name in _ONCE:
            if len(request.headers.getlist(name)) > 1:
                raise GatewayProblem("header_repeated", 400, f"Send one {name.title()} header.")
        self._range, self._if_range = range, if_range
        self._if_match = _joined(request, "if-match")
        self._if_none_match = _joined(request, "if-none-match")

    def unmodified(self, etag: str) -> bool:
        """Whether 304 is the answer (If-None-Match). Raises a 412 GatewayProblem for If-Match."""
        if self._if_match is not None and not _names(self._if_match, etag, weak=False):
            raise GatewayProblem(
                "precondition_failed",
                412,
                "If-Match names another version of this object.",
                hint="Read the grant's list of objects for the versions that it delivers.",
                headers={"ETag": etag},
            )
        return self._if_none_match is not None and _names(self._if_none_match, etag, weak=True)

    def span(self, etag: str, size: int) -> Span | None:
        """Return the range to deliver, None for the whole. Raises a 416 GatewayProblem."""
        if self._if_range is not None and self._if_range.strip(" \t") != etag:
            return None
        try:
            return parse_range(self._range, size)
        except NotSatisfiable:
            raise GatewayProblem(
                "range_not_satisfiable",
                416,
                f"The object has {size} bytes.",
                headers={"Content-Range": f"bytes */{size}", "ETag": etag},
            ) from None


def _joined(request: Request, name: str) -> str | None:
    """Lines of a list header are one list (RFC 9110 section 5.3)."""
    lines: list[Any] = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


def _names(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or `*`, names the strong `etag`; a malformed one does not."""
    if header.strip(" \t") == "*":
        return True
    found = False
    for is_weak, opaque in _tags(header):
        if opaque is None:
            return False
        found = found or (f'"{opaque}"' == etag and (weak or not is_weak))
    return found


def _tags(header: str) -> Iterator[tuple[bool, str | None]]:
    """Yield weakness and opaque part of each tag, None for what is not one."""
    at = 0
    while at < len(header):
        if gap := _GAP.match(header, at):
            at = gap.end()
        elif tag := _TAG.match(header, at):
            yield bool(tag[1]), tag[2]
            at = tag.end()
        else:
            if header[at:].strip(" \t"):
                yield False, None
            return
