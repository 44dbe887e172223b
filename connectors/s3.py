"""Platforms' objects in S3 stores of their own: describe, deliver, and take uploads.

A source is `{"connection": "con_…", "path": KEY_OR_PREFIX, "delivery": "stream" | "redirect"}`: a
path that ends in `/` is a prefix, another one a key, or else a prefix too. The connection says
where the store is, which bucket, and what opens it. An object's ETag, and its version where the
bucket keeps versions, are noted when it is published, and named with every request from then on:
the store itself refuses to give another content.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from connectors.gateway.door import Connection, Connections, DoorUnavailable, FileObject
from connectors.gateway.problems import NotNow
from connectors.gateway.source import SourceProblem
from connectors.objects import MAX_OBJECTS, empty, exists, media_type, not_found, refused, too_many
from connectors.paths import is_path, segments
from connectors.remember import Remembered
from connectors.s3_bucket import (
    LARGEST_PUT,
    Away,
    Bucket,
    Denied,
    Inward,
    Missing,
    Stat,
    StoreProblem,
    Taken,
)
from connectors.s3_object import Room, S3Object, hash_object
from connectors.s3_peek import peek_tables
from connectors.s3_pool import within
from connectors.s3_words import as_platform, as_reader, connection_unknown
from connectors.shares import Shares
from connectors.tables import MOST_FILES, TableFile, table_format
from exchange.outward.allow import AllowList

LIST_SECONDS: Final = 20.0
MOST_KEY: Final = 1024
CHECK_SECONDS: Final = 10.0
_CODES: Final = {
    Missing: "bucket_unknown",
    Denied: "credential_refused",
    Away: "not_reached",
    Inward: "address_not_allowed",
}
_AT_ONCE: Final = 8  # objects of one offering that are hashed
_HASHES: Final = 10_000
_BUCKETS: Final = 256


class S3Source:
    """Objects of all platforms. What blocks happens in threads of its own, shared fairly."""

    def __init__(
        self, connections: Connections, allow: AllowList, scratch: Path | None = None
    ) -> None:
        """`scratch` is where tables are copied to for a moment; None: the system's folder."""
        self._connections, self._allow, self._scratch = connections, allow, scratch
        self._buckets: OrderedDict[str, tuple[int, Bucket]] = OrderedDict()
        self._hashes: Remembered[tuple[str, str, Stat], str] = Remembered(_HASHES)
        self._room = Room()
        # A store that hangs keeps threads waiting, so no platform may have all of them.
        self._readers = Shares("s3-read", threads=64, each=16)
        self._hashers = Shares("s3-hash", threads=16, each=_AT_ONCE)
        self._peekers = Shares("s3-peek", threads=4, each=1)

    async def describe(self, org_id: str, source: Mapping[str, Any]) -> tuple[FileObject, ...]:
        """Measure and hash an object, or all objects below a prefix, by name.

        Hidden names are left out, as with files. Raises SourceProblem: `path_refused`,
        `source_not_found`, `source_empty`, `source_refused` (an odd name), `source_too_many`,
        `object_changed`, and what is said of a store that cannot be read.
        """
        bucket, path = await self._bucket(org_id, source), _path(source)
        with as_platform():
            found = await self._hashers.run(org_id, _list, bucket, path)
        slots = asyncio.Semaphore(_AT_ONCE)

        def measure(name: str, key: str) -> FileObject:
            stat = bucket.stat(key)
            sha256 = self._sha256(bucket, stat)
            return FileObject(name, stat.size, sha256, media_type(name), stat.tag, stat.version_id)

        async def one(name: str, key: str) -> FileObject:
            async with slots:
                with as_platform(being_read=True):
                    return await self._hashers.run(org_id, measure, name, key)

        try:
            async with asyncio.TaskGroup() as group:
                doing = [group.create_task(one(name, key)) for name, key in found]
        except BaseExceptionGroup as several:  # all of one offering, so the first says enough
            raise several.exceptions[0] from None
        return tuple(sorted((each.result() for each in doing), key=lambda item: item.name))

    async def open(self, org_id: str, source: Mapping[str, Any], item: FileObject) -> "S3Object":
        """Find one of the objects that `describe` gave, and that it is still the same.

        Raises SourceProblem: `object_changed`, `credential_refused`, `source_unavailable`.
        """
        bucket = await self._bucket(org_id, source, delivering=True)
        with as_reader():
            stat = await self._readers.run(org_id, _find, bucket, source, item)
        return S3Object(bucket, stat, org_id, self._readers, self._room)

    async def peek(
        self, org_id: str, source: Mapping[str, Any], items: Sequence[FileObject], rows: int
    ) -> list[TableFile]:
        """Read schemas and up to `rows` rows of those objects that are tables, MOST_FILES at most.

        What cannot be read is left out. Raises SourceProblem as `open` does.
        """
        tables = [item for item in items if table_format(item.name)][:MOST_FILES]
        if not tables:
            return []
        bucket = await self._bucket(org_id, source)

        def peek() -> list[TableFile]:
            stats = [(item.name, _find(bucket, source, item)) for item in tables]
            return peek_tables(bucket, stats, rows, self._scratch)

        with as_reader():
            return await self._peekers.run(org_id, peek)

    async def require(self, org_id: str, connection_id: str) -> None:
        """Raise SourceProblem where a platform has no such connection to a store."""
        await self._bucket(org_id, {"connection": connection_id})

    async def store(
        self, org_id: str, connection_id: str, name: str, file: BinaryIO, item: FileObject
    ) -> FileObject:
        """Put a file that is here whole under a key; never over another object.

        `item` says its size and hash; the file is closed in the end. The same content again is
        answered alike. A store that knows no If-None-Match can be raced by another writer of the
        same key; there we look beforehand.
        Raises SourceProblem: `path_refused`, `object_too_large`, `object_exists`, as `describe`.
        """
        key = "/".join(segments(name))
        if item.bytes > LARGEST_PUT:
            raise SourceProblem("object_too_large", 413, f"S3 takes {LARGEST_PUT} bytes at once.")
        bucket = await self._bucket(org_id, {"connection": connection_id})

        def put() -> Stat:
            try:
                there = bucket.stat(key)
            except Missing:
                with suppress(Taken):  # perhaps by the same content
                    bucket.put(key, file, item.bytes, item.sha256, item.media_type)
                there = bucket.stat(key)
            finally:  # here, since whoever waited may be gone
                file.close()
            if there.size != item.bytes or self._sha256(bucket, there) != item.sha256:
                raise Taken
            return there

        with as_platform():
            try:
                stat = await self._hashers.run(org_id, put)
            except Taken:
                raise exists() from None
        return FileObject(name, item.bytes, item.sha256, item.media_type, stat.tag, stat.version_id)

    async def check(self, connection: Connection) -> str:
        """Try a connection, and return a code: `reachable`, or what is in the way."""

        def check() -> None:
            bucket = Bucket(connection, self._allow)
            try:
                with within(CHECK_SECONDS):
                    next(bucket.keys(""), None)
            finally:
                bucket.close()

        try:
            await self._hashers.run(connection.org_id, check)
        except StoreProblem as error:
            return _CODES.get(type(error), "store_unfit")
        return "reachable"

    def close(self) -> None:
        """Let the threads end, once nothing is delivered any more."""
        for threads in (self._readers, self._hashers, self._peekers):
            threads.close()
        for _, bucket in self._buckets.values():
            bucket.close()

    async def _bucket(
        self, org_id: str, source: Mapping[str, Any], *, delivering: bool = False
    ) -> Bucket:
        """Return the source's bucket, as its connection is now."""
        try:
            found = await self._connections.connection(org_id, str(source.get("connection")))
        except DoorUnavailable as error:
            raise NotNow(
                "exchange_unavailable", "The exchange cannot be asked right now."
            ) from error
        if found is None or found.kind != "s3":
            raise connection_unknown(delivering=delivering)
        rev, bucket = self._buckets.get(found.id, (None, None))
        if bucket is None or rev != found.rev:  # an older one's credential is not used again
            with as_reader() if delivering else as_platform():
                bucket = Bucket(found, self._allow)
            self._buckets[found.id] = (found.rev, bucket)
            if len(self._buckets) > _BUCKETS:  # its connections go with its last delivery
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(found.id)
        return bucket

    def _sha256(self, bucket: Bucket, stat: Stat) -> str:
        """Hash an object; what was hashed before is remembered by all that the store tells."""
        return self._hashes.find((bucket.url, bucket.name, stat), lambda: hash_object(bucket, stat))


def _list(bucket: Bucket, path: str) -> list[tuple[str, str]]:
    """Return the names and keys of what is at a key, or below it as a prefix."""
    key = path.removesuffix("/")
    with within(LIST_SECONDS):
        if key == path:
            with suppress(Missing):
                bucket.stat(key)
                return [(_name(key), key)]
        found: list[str] = []
        seen = 0
        for each in bucket.keys(f"{key}/"):
            name = each.removeprefix(f"{key}/")
            seen += 1
            if not name.endswith("/") and not any(p.startswith(".") for p in name.split("/")):
                if not is_path(name):
                    raise refused(name)
                found.append(name)
            if len(found) > MAX_OBJECTS or seen > 10 * MAX_OBJECTS:
                raise too_many()
        if not seen:
            raise not_found()
        if not found:
            raise empty()
        return [(name, f"{key}/{name}") for name in found]


def _path(source: Mapping[str, Any]) -> str:
    """Return a source's key or prefix; raises SourceProblem `path_refused`."""
    path = str(source.get("path"))
    if not {"", ".", ".."}.isdisjoint(path.removesuffix("/").split("/")) or len(path) > MOST_KEY:
        raise SourceProblem("path_refused", 422, "Not a key, or a prefix of keys.")
    return path


def _name(key: str) -> str:
    """Return the name of an object that is published alone: its key's last part."""
    name = key.rpartition("/")[2]
    if not is_path(name):
        raise refused(name)
    return name


def _find(bucket: Bucket, source: Mapping[str, Any], item: FileObject) -> Stat:
    """Find a published object, unchanged: at the source's key, or below it. Raises StoreProblem."""
    if not item.tag:
        raise Missing("published without a tag")
    path = _path(source)
    key = path.removesuffix("/")
    places = [f"{key}/{item.name}"]
    if path == key and item.name == key.rpartition("/")[2]:
        places.insert(0, key)
    for place in places:
        with suppress(Missing):
            now = bucket.stat(place, item.tag, item.version_id)
            if now.size == item.bytes:
                return Stat(place, item.bytes, item.tag, item.version_id)
    # The answer to HEAD has no words, and not every store denies by a 403.
    bucket.get(Stat(places[0], item.bytes, item.tag, item.version_id), 0, 0).close()
    raise Missing("not as it was")
