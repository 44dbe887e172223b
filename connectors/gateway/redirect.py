"""Sending a reader to the platform's store itself, by a URL that works for a moment.

All checks are made and the use is recorded as always, as "authorised": what the reader then fetches
is not counted, outlives a revocation, and may be fetched again while the URL works. So it is done
only where the offering chose it and the grant is held to nothing that would have to be counted. The
URL is a secret: it stands in the answer's Location and nowhere else.
"""

from typing import Final, Protocol, runtime_checkable

from fastapi import Response

from connectors.gateway.answers import disposition, object_headers
from connectors.gateway.door import Delivery, FileObject
from connectors.gateway.problems import GatewayProblem
from connectors.gateway.source import Opened

AUTHORISED: Final = "authorised"
"""What stands for the method in a use that is delivered by another."""

HELD: Final = frozenset({"days", "sessions"})
"""Obligations that hold though nobody counts bytes: a session is counted when it is opened."""

_KEPT = ("ETag", "Repr-Digest", "Accept-Ranges")


@runtime_checkable
class Located(Protocol):
    """An opened object that can be fetched where it lies."""

    async def location(self, disposition: str) -> str:
        """Return a URL that reads it, for a moment."""


def is_redirected(delivery: Delivery) -> bool:
    """Whether the offering chose redirects. Raises GatewayProblem `redirect_refused`."""
    if delivery.source.get("delivery") != "redirect":
        return False
    if counted := sorted(delivery.obligations.keys() - HELD):
        raise GatewayProblem(
            "redirect_refused",
            403,
            f"The offering sends its readers to the platform's store, where nobody counts: "
            f"the grant's {', '.join(counted)} could not be held.",
            hint="Tell the platform: it has to deliver by streams, or to set no such limits.",
        )
    return True


async def location(opened: Opened, item: FileObject) -> str:
    """Return where an object may be fetched for a moment. Raises GatewayProblem."""
    if not isinstance(opened, Located):
        raise GatewayProblem(
            "redirect_refused", 409, "Objects of this kind of source cannot be fetched elsewhere."
        )
    return await opened.location(disposition(item.name))


def redirect(url: str, item: FileObject) -> Response:
    """Answer 307 to a URL that `location` gave."""
    about = object_headers(item, None)
    headers = {name: about[name] for name in _KEPT}
    return Response(None, 307, {**headers, "Location": url, "Cache-Control": "no-store"})
