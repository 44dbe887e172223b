"""What tests give platforms' connections: addresses, and secrets that would be found anywhere."""

from exchange.connections.change_connection import (
    change_connection,
    remove_connection,
    replace_credential,
)
from exchange.connections.model import Address, Credential
from exchange.connections.register_connection import register_connection

STORE = Address("Our store", "https://s3.platform.example", {"bucket": "flights"})
SERVICE = Address("Our service", "https://api.platform.example/v1", {})
PLANTED = "planted-secret-0a1b2c3d4e5f"
OTHER = "another-secret-5f4e3d2c1b0a"


def keys(secret=PLANTED) -> Credential:
    return Credential("access_key", {"access_key": "AKIAPLANTED0", "secret_key": secret})


def header(secret=PLANTED) -> Credential:
    return Credential("header", {"header": "X-Api-Key", "value": secret})


class Platform:
    """A platform's verbs about its connections, in this process."""

    def __init__(self, parts, caller) -> None:
        self.parts, self.caller, self.desk = parts, caller, parts.connection_desk

    async def store(self, credential=None, *, key=None, **address):
        wanted = Address(**{**_members(STORE), **address})
        given = credential or keys()
        return await register_connection(self.desk, self.caller, "s3", wanted, given, key)

    async def service(self, credential=None, *, key=None, **address):
        wanted = Address(**{**_members(SERVICE), **address})
        return await register_connection(self.desk, self.caller, "http", wanted, credential, key)

    async def change(self, connection_id, address, credential=None):
        return await change_connection(self.desk, self.caller, connection_id, address, credential)

    async def replace(self, connection_id, credential):
        return await replace_credential(self.desk, self.caller, connection_id, credential)

    async def remove(self, connection_id):
        await remove_connection(self.desk, self.caller, connection_id)

    async def opened(self, connection_id):
        """The connection as a gateway gets it."""
        return await self.parts.connections.connection(self.caller.org_id, connection_id)


def _members(address: Address) -> dict:
    return {"name": address.name, "url": address.url, "settings": address.settings}
