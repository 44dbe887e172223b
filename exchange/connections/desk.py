"""What the verbs about connections work with, and what they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from exchange.connections.model import Address, Credential, Kind, Users
from exchange.connections.store import ACTIVE, VAULT, ConnectionStore
from exchange.connections.vault import Place, Vault
from exchange.errors import BadInput, Forbidden, Unavailable
from exchange.http import Caller
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import RowKey
from exchange.outward.allow import AddressRefused, AllowList
from exchange.participants.store import Participants


@dataclass(frozen=True, slots=True)
class ConnectionDesk:
    """The parts that the verbs need."""

    ledger: Ledger
    store: ConnectionStore
    participants: Participants
    vault: Vault
    allow: AllowList
    users: Users


@dataclass(frozen=True, slots=True)
class SealedNow:
    """A sealed secret's columns, and the reads under which it may be written."""

    values: dict[str, str]
    reads: dict[RowKey, int]


def assert_may_change(caller: Caller) -> None:
    """Leave connections to programs, owners and publishers; raises Forbidden."""
    if not caller.stands_as("owner", "publisher"):
        raise Forbidden("member_role_missing", "Owners and publishers see to connections.")


def assert_fits(kind: Kind, credential: Credential | None) -> None:
    """Refuse a credential of another kind of connection; raises BadInput."""
    fits = credential is None or (credential.kind == "access_key") == (kind == "s3")
    if not fits or (kind == "s3" and credential is None):
        wanted = "access_key" if kind == "s3" else "header, bearer, basic or none"
        raise BadInput(
            "credential_kind", f"A connection of kind {kind} takes {wanted}.", status=422
        )


def checked(allow: AllowList, kind: Kind, address: Address) -> Address:
    """Return an address as it will be asked; raises BadInput for one where nobody may go."""
    try:
        url = allow.check_url(address.url)
    except AddressRefused as refused:
        hint = None
        if refused.code == "address_not_allowed" or address.url.startswith("http:"):
            hint = (
                "Public addresses need https. Others the operator allows by name: "
                "EXCHANGE_UPSTREAM_ALLOW lists them, a host with its port."
            )
        raise BadInput(
            f"connection_{refused.code}", refused.detail, status=422, hint=hint
        ) from None
    read = urlsplit(url)
    if read.query or "?" in url:
        raise BadInput("connection_url_invalid", "The URL must have no query.", status=422)
    if kind == "s3" and read.path not in ("", "/"):
        raise BadInput(
            "connection_url_invalid",
            "The endpoint of a store is a host without a path.",
            status=422,
            hint="Name the bucket in `bucket`.",
        )
    return Address(address.name, url, _settings(kind, address.settings))


def _settings(kind: Kind, given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings of a connection of this kind; raises BadInput."""
    if kind == "s3" and "bucket" in given:
        return {"region": "us-east-1", **given}
    if kind == "s3" or given:
        raise BadInput(
            "connection_settings",
            "A connection of kind s3 names its bucket."
            if kind == "s3"
            else "A bucket and a region are of kind s3 only.",
            status=422,
        )
    return {}


async def seal(desk: ConnectionDesk, place: Place, credential: Credential) -> SealedNow:
    """Seal a credential by the key that seals just now; raises Unavailable."""
    state = await desk.store.vault_state()
    if state is None:
        raise Unavailable("vault_unavailable", "No key is said to seal credentials.")
    sealed = desk.vault.seal(state.key_id, place, credential.secret)
    values = {"sealed": sealed, "key_id": state.key_id}
    return SealedNow(values, {(VAULT, ACTIVE): state.rev})
