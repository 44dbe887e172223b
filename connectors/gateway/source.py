"""What a gateway asks of a source of data: files today, object stores and others beside them."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from connectors.gateway.door import FileObject
from connectors.gateway.problems import GatewayProblem


class SourceProblem(GatewayProblem):
    """A source cannot hold, describe or deliver what it was asked for."""


class SourceBroken(Exception):
    """An object changed or ended while it was read: the delivery must be cut, never padded."""


class Opened(Protocol):
    """An object that is open and was found to be what was published."""

    def read(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """Yield bytes `first` to `last` inclusive, in pieces. Raises SourceBroken."""

    async def close(self) -> None:
        """Let go of it; never raises, and may be called twice."""


class Source(Protocol):
    """A kind of source, known to the gateway by the name that a Delivery's `connector` gives."""

    async def open(self, org_id: str, source: Mapping[str, Any], item: FileObject) -> Opened:
        """Open an object for delivery.

        Raises SourceProblem, with the code `object_changed` where it is not what was published.
        """
