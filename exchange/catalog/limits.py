"""What grants of an offering are held to, as platforms say it."""

from typing import Annotated

from pydantic import Field, StringConstraints

from exchange.catalog.model import Kind
from exchange.formats.allowed_paths import parse
from exchange.formats.errors import FormatError
from exchange.http import Body
from exchange.policy.model import LARGEST

Limit = Annotated[int, Field(ge=1, le=LARGEST, strict=True)]
AllowedPath = Annotated[str, StringConstraints(pattern="^[A-Z]{3,7} /[!-~]*$", max_length=600)]


class LimitsIn(Body):
    """What each grant is held to for the days that were granted.

    A renewal brings a new allowance: at once where people approve it, else after those days.
    """

    calls: Limit | None = Field(None, description="Calls in all; of compute and technology")
    calls_per_minute: Limit | None = Field(
        None, description="Calls, or requests for files, in a minute of the clock"
    )
    bytes: Limit | None = Field(None, description="Bytes delivered in all")
    concurrent: Limit | None = Field(None, description="Deliveries or calls at the same time")
    paths: Annotated[list[AllowedPath], Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="Methods and paths, fewer than the source's; of compute and technology",
        examples=[["GET /stats/*"]],
    )


def check_redirect(delivery: str | None, limits: LimitsIn) -> None:
    """Raise ValueError for limits that cannot be held where the platform's store delivers."""
    if delivery == "redirect" and limits.model_dump(exclude_none=True):
        raise ValueError("a redirect is not counted: leave limits out, or deliver by stream")


def check_limits(kind: Kind, limits: LimitsIn) -> None:
    """Raise ValueError for limits of what such an offering does not deliver."""
    if kind == "dataset" and (limits.calls is not None or limits.paths is not None):
        raise ValueError("files are fetched in sessions: limits.calls and paths are of calls")
    if limits.paths is not None and len(set(limits.paths)) != len(limits.paths):
        raise ValueError("limits.paths: each value once")
    for rule in limits.paths or ():
        try:
            parse(rule)
        except FormatError as error:
            raise ValueError(f"limits.paths: {error}") from None
