"""How much and how long: what an offering's source says, within what this gateway allows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.forward.problems import upstream_problem

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Waits:
    """Longest waits in seconds, each within the whole call's: the gateway's own."""

    slot: float = 5.0  # for one of the connections that a service is given at once
    connect: float = 5.0  # names, TCP and TLS together
    first_byte: float = 120.0  # from the last byte sent to the answer's head
    between: float = 60.0  # two pieces of an answer, or the service's reading of one of a body
    reader: float = 120.0  # the caller's reading of one piece


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one call: bytes of its body and of its answer's, and seconds from sending to the end."""

    request_bytes: int = MIB
    response_bytes: int = 64 * MIB
    seconds: float = 60.0


MOST: Final = Limits(2048 * MIB, 1024 * 1024 * MIB, 3600.0)
"""What no offering goes beyond, whatever it says."""


def limits_of(source: Mapping[str, Any], most: Limits) -> Limits:
    """Read an offering's limits; raises SourceProblem `source_unusable` where they are none."""
    usual = Limits()
    return Limits(
        int(_read(source, "max_request_bytes", usual.request_bytes, most.request_bytes)),
        int(_read(source, "max_response_bytes", usual.response_bytes, most.response_bytes)),
        _read(source, "seconds", usual.seconds, most.seconds),
    )


def _read(source: Mapping[str, Any], name: str, usual: float, most: float) -> float:
    value = source.get(name)
    if value is None:
        return min(usual, most)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise upstream_problem("source_unusable", f"The offering's {name} is none.", status=409)
    return min(value, most)
