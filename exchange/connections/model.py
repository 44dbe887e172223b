"""Platforms' connections to their own stores and services: pure types and rules.

What a connection's `settings` and its secret hold, by its kind:

    s3    settings bucket, region   secret access_key, secret_key
    http  settings none             secret header, value: the header that lets one in; or nothing
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
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


def origin(url: str) -> str:
    """Return scheme, host and port of a URL that was checked: what a credential is given for."""
    read = urlsplit(url)
    return f"{read.scheme}://{read.hostname}:{read.port or _PORTS[read.scheme]}"
