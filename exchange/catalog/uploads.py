"""Resumable uploads: what the catalog's routes ask of whoever keeps the bytes, and documents."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Protocol

from pydantic import Field, StringConstraints

from exchange.catalog.sources import ConnectionId
from exchange.clock import rfc3339
from exchange.http import Body

LARGEST = 2**53 - 1


class Progress(Protocol):
    """How far an upload came."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """The path or key that it is for."""

    @property
    def bytes(self) -> int:
        """How many it has in the end."""

    @property
    def sha256(self) -> str | None:
        """What its sender announced (hex), if anything."""

    @property
    def connection(self) -> str | None:
        """The connection to the store that it is for; None: the exchange's own files."""

    @property
    def offset(self) -> int:
        """How many bytes are here."""

    @property
    def expires_ms(self) -> int:
        """When it is forgotten unless someone goes on."""


class Stored(Protocol):
    """The object that an upload became."""

    @property
    def name(self) -> str:
        """Its path or key."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def sha256(self) -> str:
        """Its content's hash (hex)."""

    @property
    def media_type(self) -> str:
        """By its name."""


class Uploads(Protocol):
    """Where uploads arrive; app.py puts a connector behind it. All of it raises problems."""

    async def begin(
        self, org_id: str, name: str, size: int, sha256: str | None, connection: str | None
    ) -> Progress:
        """Begin one."""

    async def look(self, org_id: str, upload_id: str) -> Progress:
        """Say how far it came."""

    async def unfinished(self, org_id: str) -> Sequence[Progress]:
        """Return an organisation's, few as they are."""

    async def append(
        self, org_id: str, upload_id: str, offset: int, chunks: AsyncIterator[bytes]
    ) -> Progress:
        """Take bytes from `offset` on; what arrived before a failure stays."""

    async def complete(self, org_id: str, upload_id: str) -> Stored:
        """Publish it, whole and durable, never over anything; the same again is answered alike."""

    async def drop(self, org_id: str, upload_id: str) -> None:
        """Give it up."""


class UploadIn(Body):
    """What is going to be uploaded."""

    # The same paths that an offering's source may name.
    name: Annotated[
        str,
        StringConstraints(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$", max_length=200
        ),
    ] = Field(examples=["flights/2013.parquet"])
    bytes: Annotated[int, Field(ge=0, le=LARGEST, strict=True)] = Field(examples=[8123456])
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="Hex; where it is given, other content is refused in the end"
    )
    connection: ConnectionId | None = Field(
        None, description="Your S3 store; none: the exchange's own files"
    )


class UploadOut(Body):
    """How far an upload came."""

    id: str
    name: str
    bytes: int
    sha256: str | None
    connection: str | None
    offset: int = Field(description="Bytes that are here: go on from there")
    expires_at: str = Field(description="When it is forgotten unless you go on")


def upload_out(upload: Progress) -> UploadOut:
    """Write how far an upload came."""
    return UploadOut(
        id=upload.id,
        name=upload.name,
        bytes=upload.bytes,
        sha256=upload.sha256,
        connection=upload.connection,
        offset=upload.offset,
        expires_at=rfc3339(upload.expires_ms),
    )
