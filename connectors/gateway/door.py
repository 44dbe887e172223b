"""The small door to the exchange: what a grant allows now, and where uses are recorded.

A gateway mounted in the exchange and one that stands alone differ in their Door only.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

Status = Literal["active", "suspended", "revoked", "ended"]
LEASE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class FileObject:
    """One file as it was when its offering's version was published.

    `name` is relative to the offering's source, with `/` between its parts; `sha256` is hex.
    """

    name: str
    bytes: int
    sha256: str
    media_type: str
    tag: str | None = None  # the store's own name for these very bytes: an S3 ETag, without quotes
    version_id: str | None = None  # and for this version of the object, where it keeps versions


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a platform's store or service is, and what lets one in; `rev` grows with each change.

    `settings` are of its kind, such as a bucket or the header that carries the credential; so is
    `secret`, which no text shows.
    """

    id: str
    org_id: str
    kind: Literal["s3", "http"]
    url: str
    settings: Mapping[str, Any]
    secret: Mapping[str, str] = field(repr=False)
    rev: int


class Connections(Protocol):
    """Where a gateway gets platforms' connections from: it keeps none."""

    async def connection(self, org_id: str, connection_id: str) -> Connection | None:
        """Return an organisation's connection; None for one that it has not (any more).

        Raises DoorUnavailable where nobody can tell.
        """


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a grant allows now. `ends_ms` is UTC milliseconds; `rev` is the grant's row's.

    `connector` names the kind of source ("files"); `source` is what the platform said of it.
    """

    grant_id: str
    client_id: str
    consumer_id: str
    provider_id: str
    status: Status
    ends_ms: int
    obligations: Mapping[str, Any]
    offering_id: str
    offering_version: int
    connector: str
    source: Mapping[str, Any]
    objects: tuple[FileObject, ...]
    rev: int
    client_keys: frozenset[str] | None = None  # what tokens may have been got with; None: not known


@dataclass(frozen=True, slots=True)
class UsedProof:
    """A proof of possession that a use takes along: `key` is met once, until `expires_ms`."""

    key: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Use:
    """One file request: bytes `first_byte` to `last_byte` inclusive; or one call: -1 and -1.

    `object_name` is the file's, or `METHOD /path` of the call; `object_version` the file's sha256,
    or that of the endpoint's description. `rev` is the grant's as the gateway saw it. `proof` came
    with the token, if it is bound to a key: recorded with the use, so that it is never used again.
    """

    grant_id: str
    client_id: str
    object_name: str
    object_version: str
    method: str
    first_byte: int
    last_byte: int
    rev: int
    proof: UsedProof | None = None


class DoorRefused(Exception):
    """The exchange says no: the grant was revoked or ended meanwhile, an allowance is used up.

    All of it is shown to the caller; `status` is 401, 403, 404, 409, 429 or 503; `members` are
    more members of the problem document, such as remedies.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        status: int = 403,
        *,
        hint: str | None = None,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status
        self.hint = hint
        self.members = dict(members or {})
        self.headers = dict(headers or {})


class DoorUnavailable(Exception):
    """The exchange does not answer, so nothing may be delivered."""


class Door(Protocol):
    """What a gateway asks of the exchange, and tells it."""

    async def look_up(self, grant_id: str) -> Delivery | None:
        """Return what the grant allows now, None for an unknown one. Raises DoorUnavailable.

        It may come from a cache: `record` rechecks the rev.
        """

    def watch(self, delivery: Delivery) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set whenever what a delivery rests on may have changed: look up.

        It may miss a change: whoever waits for it looks up now and then as well.
        """

    async def record(self, use: Use) -> str:
        """Record a use durably and return its id; only then is a byte released.

        Raises DoorRefused, or DoorUnavailable where it is not known to be recorded.
        """

    async def count(self, delivery: Delivery) -> None:
        """Count a request that gets no data towards the grant's rate, where it has one.

        Raises DoorRefused, DoorUnavailable.
        """

    async def extend(self, use_id: str, more_bytes: int) -> None:
        """Say that a use goes on, and reserve bytes that it is about to deliver beyond its range.

        Needed under obligations that count `bytes` or `concurrent` only: there a use that nobody
        speaks of for LEASE_SECONDS is given up. Raises DoorRefused, DoorUnavailable: then it stops.
        """

    async def finished(self, use_id: str, sent_bytes: int, complete: bool) -> None:
        """Say how a use ended; best effort. `sent_bytes` were handed to the connection."""
