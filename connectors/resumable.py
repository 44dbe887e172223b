"""Resumable uploads of new dataset versions: to the exchange's files, or a platform's S3 store.

Bytes are spooled to `connectors.partial` files whatever they are for, and published whole when
they are complete: files by a hard link, S3 by one PUT with the checksum signed into it and
`If-None-Match: *`. Nothing is ever overwritten.
"""

import asyncio
from collections.abc import AsyncIterable
from dataclasses import asdict
from pathlib import Path

from connectors import partial
from connectors.files import FileSource
from connectors.gateway.door import FileObject
from connectors.gateway.source import SourceProblem
from connectors.objects import media_type
from connectors.partial import Partial, PartialFile
from connectors.paths import require_owner, segments
from connectors.s3 import S3Source
from connectors.s3_bucket import LARGEST_PUT
from connectors.shares import Shares


class ResumableUploads:
    """Uploads of all platforms; what blocks happens in threads of its own."""

    def __init__(
        self, root: Path, files: FileSource, s3: S3Source | None, limit_bytes: int
    ) -> None:
        """`root` is the files' folder; without `s3`, none goes to a store."""
        self._root, self._files, self._s3 = root, files, s3
        self._limit = limit_bytes
        self._threads = Shares("uploads", threads=16, each=8)

    async def begin(
        self, org_id: str, name: str, size: int, sha256: str | None, connection: str | None
    ) -> Partial:
        """Begin an upload of so many bytes, for a path or a key.

        Raises SourceProblem: `path_refused`, `object_too_large`, `uploads_too_many`,
        `connection_unknown`, and what is said of a storage that is full or away.
        """
        segments(name)
        limit = min(self._limit, LARGEST_PUT) if connection else self._limit
        if size > limit:
            raise SourceProblem("object_too_large", 413, f"A file has {limit} bytes at most.")
        if connection:
            await self._store().require(org_id, connection)
        root, owner = self._root, require_owner(org_id)
        return await self._threads.run(
            org_id, partial.begin, root, owner, name, size, sha256, connection
        )

    async def look(self, org_id: str, upload_id: str) -> Partial:
        """Return how far an upload came. Raises SourceProblem `upload_unknown`."""
        owner = require_owner(org_id)
        return await self._threads.run(org_id, partial.look, self._root, owner, upload_id)

    async def unfinished(self, org_id: str) -> list[Partial]:
        """Return those of an organisation that are not complete; there are few."""
        owner = require_owner(org_id)
        return await self._threads.run(org_id, partial.unfinished, self._root, owner)

    async def append(
        self, org_id: str, upload_id: str, offset: int, chunks: AsyncIterable[bytes]
    ) -> Partial:
        """Take bytes from `offset` on, which is where the last ones ended.

        What arrived before `chunks` raised stays, on disk. Raises SourceProblem: `upload_unknown`,
        `upload_busy`, `upload_complete`, `offset_mismatch`, `upload_too_long`, `storage_full`.
        """
        file = await self._open(org_id, upload_id)
        try:
            if file.state.done is not None:
                raise SourceProblem("upload_complete", 409, "The upload is complete already.")
            if offset != file.state.offset:
                raise SourceProblem(
                    "offset_mismatch",
                    409,
                    f"The upload has {file.state.offset} bytes: go on from there.",
                    headers={"Upload-Offset": str(file.state.offset)},
                )
            try:
                async for chunk in chunks:
                    await self._threads.run(org_id, file.write, chunk)
            finally:
                await asyncio.shield(self._threads.run(org_id, file.flush))
            return file.state
        finally:
            await asyncio.shield(self._threads.run(org_id, file.close))

    async def complete(self, org_id: str, upload_id: str) -> FileObject:
        """Publish an upload whose bytes are all here; the same again is answered alike.

        Raises SourceProblem: `upload_incomplete`, `checksum_mismatch` (it is dropped then),
        `object_exists`, and what is said of the place that it goes to.
        """
        file = await self._open(org_id, upload_id)
        try:
            state = file.state
            if state.done is not None:
                return FileObject(**state.done)
            if state.offset != state.bytes:
                raise SourceProblem(
                    "upload_incomplete",
                    409,
                    f"{state.offset} of {state.bytes} bytes are here.",
                    headers={"Upload-Offset": str(state.offset)},
                )
            sha256 = await self._threads.run(org_id, file.hash)
            if state.sha256 is not None and sha256 != state.sha256:
                await self._threads.run(org_id, file.remove)
                raise SourceProblem(
                    "checksum_mismatch",
                    422,
                    "What arrived is not what was announced: its sha256 is another. It is dropped.",
                    hint="Begin the upload anew.",
                )
            await self._threads.run(org_id, file.flush)
            done = await self._publish(org_id, file, sha256)
            await self._threads.run(org_id, file.settle, asdict(done))
            return done
        finally:
            await asyncio.shield(self._threads.run(org_id, file.close))

    async def drop(self, org_id: str, upload_id: str) -> None:
        """Give an upload up. What it became stays. Raises SourceProblem."""
        owner = require_owner(org_id)
        await self._threads.run(org_id, partial.drop, self._root, owner, upload_id)

    async def sweep(self) -> None:
        """Drop what nobody went on with for a day."""
        await asyncio.to_thread(partial.sweep_all, self._root)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    async def _open(self, org_id: str, upload_id: str) -> PartialFile:
        owner = require_owner(org_id)
        return await self._threads.run(org_id, partial.opened, self._root, owner, upload_id)

    async def _publish(self, org_id: str, file: PartialFile, sha256: str) -> FileObject:
        state = file.state
        if state.connection is None:
            return await self._files.adopt(org_id, state.id, state.name, state.bytes, sha256)
        item = FileObject(state.name, state.bytes, sha256, media_type(state.name))
        store, content = self._store(), file.content()
        return await store.store(org_id, state.connection, state.name, content, item)

    def _store(self) -> S3Source:
        if self._s3 is None:
            raise SourceProblem("connection_unknown", 422, "No stores are served here.")
        return self._s3
