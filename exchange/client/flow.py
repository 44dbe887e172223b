"""What a verb does, told without doing it: a generator of steps that any driver can take.

A verb is written once. It yields a step and is sent what came of it; a driver that blocks
(session.Session) and one that awaits (session.AsyncSession) run the same verb. What goes wrong with
a step is raised where it was yielded, so a verb can try again.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import httpx


class Sink(Protocol):
    """Takes the body of a successful answer piece by piece; others are read whole."""

    def begin(self, response: httpx.Response) -> None:
        """See the status and headers; raise to read no further."""

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""


class Body(Protocol):
    """A body to be sent, in pieces; where a token had ended, once more from its beginning."""

    def pieces(self) -> Generator[bytes, None, None]:
        """Yield the bytes."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; what comes of it is the httpx.Response, whatever its status."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    body: Body | None = None
    sink: Sink | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Do what takes time and needs no network (disk, parsing): off the loop, where there is one."""

    does: Callable[[], Any]


Step = Send | Pause | Work
T = TypeVar("T")
Flow = Generator[Step, Any, T]
