"""What a mounted gateway asks of the vault: a platform's connection, with what lets one in.

Nothing is kept between two requests: a credential that was replaced is not used again.
"""

import logging

from connectors.gateway.door import Connection, DoorUnavailable
from exchange.connections.store import ConnectionStore
from exchange.connections.vault import Unreadable, Vault, place_of
from exchange.errors import ExchangeError

log_to = logging.getLogger("exchange.gateway")


class MountedConnections:
    """`connectors.gateway.door.Connections` over the exchange's own parts.

    Of a service by HTTP, `settings["header"]` names the header that carries the credential, if
    there is one, and `secret["value"]` is what stands in it.
    """

    def __init__(self, store: ConnectionStore, vault: Vault) -> None:
        self._store, self._vault = store, vault

    async def connection(self, org_id: str, connection_id: str) -> Connection | None:
        """Return an organisation's connection as it is now; raises DoorUnavailable."""
        try:
            return await self._open(org_id, connection_id)
        except Unreadable:  # perhaps sealed anew, and the older key dropped, since it was read
            pass
        try:
            return await self._open(org_id, connection_id)
        except Unreadable as error:
            log_to.error("credential_unreadable", extra={"connection_id": connection_id})
            raise DoorUnavailable from error

    async def _open(self, org_id: str, connection_id: str) -> Connection | None:
        try:
            found = await self._store.with_secret(org_id, connection_id)
        except ExchangeError as error:
            raise DoorUnavailable from error
        if found is None:
            return None
        known, sealed = found
        if sealed is None and known.credential is not None:
            raise Unreadable("gone")
        settings, secret = dict(known.settings), dict[str, str]()
        if sealed is not None:
            secret.update(self._vault.open(sealed.text, sealed.key_id, place_of(known)))
        if "header" in secret:
            settings["header"] = secret.pop("header")
        return Connection(
            id=known.id,
            org_id=known.org_id,
            kind=known.kind,
            url=known.url,
            settings=settings,
            secret=secret,
            rev=known.rev,
        )
