"""Connections as platforms send them and as they are shown: a credential goes in, never out."""

import base64
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from exchange.clock import rfc3339
from exchange.connections.model import Address, Connection, Credential, CredentialKind, Kind
from exchange.http import ONE_LINE, Body

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=ONE_LINE)]
Url = Annotated[str, StringConstraints(min_length=8, max_length=2000)]
Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
_PRINTABLE = re.compile("[\x20-\x7e]+")
# What the gateway says itself, and what belongs to one hop (RFC 9110 section 7.6.1).
_NOT_THESE = {
    *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer"),
    *("upgrade", "proxy-authorization", "proxy-authenticate", "proxy-connection", "expect"),
    *("content-type", "content-encoding", "range", "accept-encoding"),
}


def _visible(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not _PRINTABLE.fullmatch(text) or text != text.strip(" "):
        raise ValueError("printable ASCII, without spaces around it")
    return secret


def _no_colon(secret: SecretStr) -> SecretStr:
    if ":" in secret.get_secret_value():
        raise ValueError("a user without a colon (RFC 7617)")
    return secret


def _free(name: str) -> str:
    if name.lower() in _NOT_THESE:
        raise ValueError("a header that carries credentials, not one of the connection itself")
    return name


Visible = Annotated[SecretStr, Field(min_length=1, max_length=4096), AfterValidator(_visible)]
HeaderName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$"),
    AfterValidator(_free),
]


class AccessKeyIn(Body):
    """An access key of an S3 store."""

    kind: Literal["access_key"]
    access_key: Visible
    secret_key: Visible

    def credential(self) -> Credential:
        """Return the domain's type."""
        keys = {"access_key": self.access_key, "secret_key": self.secret_key}
        return Credential(self.kind, {k: v.get_secret_value() for k, v in keys.items()})


class HeaderIn(Body):
    """A header that a service wants."""

    kind: Literal["header"]
    name: HeaderName = Field(examples=["X-Api-Key"])
    value: Visible

    def credential(self) -> Credential:
        """Return the domain's type."""
        return _header(self.kind, self.value.get_secret_value(), self.name)


class BearerIn(Body):
    """A bearer token (RFC 6750)."""

    kind: Literal["bearer"]
    token: Visible

    def credential(self) -> Credential:
        """Return the domain's type."""
        return _header(self.kind, f"Bearer {self.token.get_secret_value()}")


class BasicIn(Body):
    """A user and a password (RFC 7617)."""

    kind: Literal["basic"]
    user: Annotated[Visible, AfterValidator(_no_colon)]
    password: Visible

    def credential(self) -> Credential:
        """Return the domain's type."""
        pair = f"{self.user.get_secret_value()}:{self.password.get_secret_value()}"
        return _header(self.kind, "Basic " + base64.b64encode(pair.encode("ascii")).decode())


def _header(kind: CredentialKind, value: str, name: str = "Authorization") -> Credential:
    return Credential(kind, {"header": name, "value": value})


CredentialIn = Annotated[AccessKeyIn | HeaderIn | BearerIn | BasicIn, Field(discriminator="kind")]


A_CREDENTIAL = [{"kind": "header", "name": "X-Api-Key", "value": "what the service gave you"}]


class ChangeIn(Body):
    """Where a connection leads, and what it is called."""

    name: Name = Field(examples=["Our store"])
    url: Url = Field(
        description="The store's endpoint, or what the service's paths are appended to",
        examples=["https://s3.example.com"],
    )
    bucket: Bucket | None = Field(None, description="Of kind s3, and of no other")
    region: Region | None = Field(None, description="Of kind s3; none: us-east-1")
    credential: CredentialIn | None = Field(
        None,
        description="What lets one in; never shown again. Encrypted at rest",
        examples=A_CREDENTIAL,
    )

    def address(self) -> Address:
        """Return the domain's type, with the settings that were given."""
        settings = {"bucket": self.bucket, "region": self.region}
        return Address(self.name, self.url, {k: v for k, v in settings.items() if v is not None})

    def given(self) -> Credential | None:
        """Return the credential as the domain has it."""
        return self.credential.credential() if self.credential else None


class ConnectionIn(ChangeIn):
    """A connection to register."""

    kind: Kind


class ReplacementIn(Body):
    """A credential in place of the one before."""

    credential: CredentialIn | None = Field(
        description="None: the service asks for none", examples=A_CREDENTIAL
    )


class CredentialOut(Body):
    """All that is ever shown of a credential."""

    kind: CredentialKind
    replaced_at: str


class ConnectionOut(Body):
    """A connection, without what lets one in."""

    id: str
    organisation_id: str
    kind: Kind
    name: str
    url: str
    bucket: str | None
    region: str | None
    credential: CredentialOut | None
    created_at: str
    changed_at: str


class FindingOut(Body):
    """What came of trying a connection."""

    works: bool
    code: str
    detail: str


def connection_out(connection: Connection) -> ConnectionOut:
    """Write a connection."""
    shown: dict[str, Any] = {name: connection.settings.get(name) for name in ("bucket", "region")}
    credential = None
    if connection.credential is not None:
        replaced = rfc3339(connection.replaced_ms or connection.created_ms)
        credential = CredentialOut(kind=connection.credential, replaced_at=replaced)
    return ConnectionOut(
        id=connection.id,
        organisation_id=connection.org_id,
        kind=connection.kind,
        name=connection.name,
        url=connection.url,
        credential=credential,
        created_at=rfc3339(connection.created_ms),
        changed_at=rfc3339(connection.changed_ms),
        **shown,
    )
