"""Platforms' connections to their own stores and services: pure types and rules.

What a connection's `settings` and its secret hold, by its kind:

    s3    settings bucket, region   secret access_key, secret_key
    http  settings none             secret header, value: the header that lets one in; or nothing
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

Kind = Literal["s3", "http"]
CredentialKind = Literal["access_key", "header", "bearer", "basic"]
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a platform's store or service is; what lets one in is in the vault.

    `rev` grows with each change, of the credential too.
    """

    id: str
    org_id: str
    kind: Kind
    name: str
    url: str
    settings: Mapping[str, str]
    credential: CredentialKind | None
    replaced_ms: int | None  # when the credential was given
    rev: int
    created_ms: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class Credential:
    """What lets one in, as a platform gives it; no text shows it."""

    kind: CredentialKind
    secret: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """What a platform says of a connection, the credential apart."""

    name: str
    url: str
    settings: Mapping[str, str]

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON: what the leaf commits to."""
        return {"name": self.name, "url": self.url, "settings": dict(self.settings)}


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of trying a connection: a code, and words for people; never words of others."""

    works: bool
    code: str
    detail: str


class Checker(Protocol):
    """Tries connections of one kind; app.py puts one behind each."""

    async def check(self, connection: Connection, secret: Mapping[str, str]) -> Finding:
        """Try the connection as it would be used; raises nothing for what the other side does."""


class Users(Protocol):
    """Who uses a connection; the rooms above know."""

    async def published_with(self, org_id: str, connection_id: str, limit: int) -> Sequence[str]:
        """Return published offerings of the platform whose source it is, by id."""


def origin(url: str) -> str:
    """Return scheme, host and port of a URL that was checked: what a credential is given for."""
    try:
        read = urlsplit(url)
        port = read.port or _PORTS.get(read.scheme, 0)
    except ValueError:  # none that was checked
        return ""
    return f"{read.scheme}://{read.hostname}:{port}"
