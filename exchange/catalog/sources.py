"""Where an offering's data or service is, as platforms say it: one body a connector."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from exchange.catalog.model import Kind
from exchange.formats.allowed_paths import LONGEST_RULE, parse
from exchange.formats.errors import FormatError
from exchange.http import ONE_LINE, Body

MIB = 1024 * 1024
MOST_BYTES = 1024 * 1024 * MIB
# One file, or a folder of files, among those that the platform uploaded.
SourcePath = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$", max_length=200
    ),
]
ConnectionId = Annotated[str, StringConstraints(pattern="^con_[0-9a-hjkmnp-tv-z]{26}$")]
A_CONNECTION = ["con_" + "0" * 26]


def _key(text: str) -> str:
    """Take a key or a prefix that every S3 client sends as it stands."""
    if len(text.encode()) > 1024:
        raise ValueError("an S3 key has at most 1,024 bytes")
    if not {"", ".", ".."}.isdisjoint(text.removesuffix("/").split("/")):
        raise ValueError("an S3 key without empty parts, . and ..")
    return text


def _rule(text: str) -> str:
    try:
        parse(text)
    except FormatError as error:
        raise ValueError(str(error)) from None
    return text


Key = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024, pattern=ONE_LINE),
    AfterValidator(_key),
]
Rule = Annotated[str, StringConstraints(max_length=LONGEST_RULE), AfterValidator(_rule)]


class FilesSource(Body):
    """A dataset's files, among those that the platform uploaded here."""

    connector: Literal["files"] = "files"
    path: SourcePath = Field(examples=["flights.parquet"])


class S3Source(Body):
    """A dataset's objects in the platform's own S3 store."""

    connector: Literal["s3"]
    connection: ConnectionId = Field(description="Of kind s3", examples=A_CONNECTION)
    path: Key = Field(
        description="An object's key, or ending in / the prefix of several",
        examples=["flights/2013.parquet"],
    )
    delivery: Literal["stream", "redirect"] = Field(
        "stream",
        description="Through the gateway, counted and cut when revoked; or by a short-lived URL",
    )


class HttpSource(Body):
    """A service of the platform's: calls are forwarded to it."""

    connector: Literal["http"]
    connection: ConnectionId = Field(description="Of kind http", examples=A_CONNECTION)
    allow: Annotated[list[Rule], Field(min_length=1, max_length=50)] = Field(
        description="METHOD /path; * is a whole segment, or as the last character any rest",
        examples=[["GET /stats/*", "POST /query"]],
    )
    max_request_bytes: Annotated[int, Field(ge=0, le=MOST_BYTES, strict=True)] = MIB
    max_response_bytes: Annotated[int, Field(ge=1, le=MOST_BYTES, strict=True)] = 64 * MIB
    seconds: Annotated[int, Field(ge=1, le=3600, strict=True)] = Field(
        60, description="How long a call may take"
    )


Source = Annotated[FilesSource | S3Source | HttpSource, Field(discriminator="connector")]
CONNECTORS: dict[Kind, tuple[str, ...]] = {
    "dataset": ("files", "s3"),
    "compute": ("http",),
    "technology": ("http",),
}


def with_connector(source: Any) -> Any:
    """Read a source without `connector` as one of files, as it was before there were others."""
    if isinstance(source, dict) and "connector" not in source:
        return {**source, "connector": "files"}
    return source


def check_connector(kind: Kind, source: FilesSource | S3Source | HttpSource | None) -> None:
    """Raise ValueError for a connector that offerings of this kind do not have."""
    if source is not None and source.connector not in CONNECTORS[kind]:
        raise ValueError(f"the source of a {kind} is {' or '.join(CONNECTORS[kind])}")
