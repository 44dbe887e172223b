"""Trying a platform's connection to its store: as publishing would, with its credential."""

from collections.abc import Mapping

from connectors.gateway import door
from connectors.s3 import S3Source
from exchange.connections.check_connection import finding
from exchange.connections.model import Connection, Finding


class StoreChecker:
    """`connections.model.Checker` of kind s3."""

    def __init__(self, s3: S3Source) -> None:
        self._s3 = s3

    async def check(self, connection: Connection, secret: Mapping[str, str]) -> Finding:
        """List a key of the bucket, and say what became of it."""
        asked = door.Connection(
            id=connection.id,
            org_id=connection.org_id,
            kind=connection.kind,
            url=connection.url,
            settings=connection.settings,
            secret=secret,
            rev=connection.rev,
        )
        return finding(await self._s3.check(asked))
