"""Platforms' files under `root/<organisation>/<path>`: describe, deliver, and take uploads."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from connectors.gateway.door import FileObject
from connectors.gateway.source import SourceBroken, SourceProblem
from connectors.hashing import Fingerprint, Hashes
from connectors.objects import (
    MAX_OBJECTS,
    changed,
    empty,
    media_type,
    not_found,
    refused,
    too_many,
    unavailable,
)
from connectors.paths import is_folder, is_path, open_node, open_path, require_owner, segments
from connectors.tables import MOST_FILES, TableFile, read_tables, table_format
from connectors.upload import Upload, publish_hidden

P = ParamSpec("P")
T = TypeVar("T")

PIECE: Final = 256 * 1024
"""Bytes read at once. A delivery holds two pieces, and what its connection has not sent."""

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL)


class FileSource:
    """Files of all platforms below one folder. Reading and hashing happen in threads of its own."""

    def __init__(self, root: Path) -> None:
        """`root` is a folder that exists."""
        self._root = root
        self._hashes = Hashes()
        # Hashing a big file must not keep deliveries waiting, so each has threads of its own.
        self._readers = ThreadPoolExecutor(8, "files-read")
        self._hashers = ThreadPoolExecutor(4, "files-hash")
        self._peekers = ThreadPoolExecutor(2, "files-peek")  # one waits for one process

    async def describe(self, org_id: str, path: str) -> tuple[FileObject, ...]:
        """Measure and hash a file, or all files of a folder and of the folders in it, by name.

        Hidden files are left out. Raises SourceProblem: `path_refused`, `source_not_found`,
        `source_empty`, `source_refused` (a link, a device, an odd name), `source_too_many`.
        """
        parts = (require_owner(org_id), *segments(path))
        return await _in(self._hashers, self._describe, parts)

    async def open(self, org_id: str, source: Mapping[str, Any], item: FileObject) -> "OpenedFile":
        """Open one of the objects that `describe` gave for the path in `source["path"]`.

        Raises SourceProblem `object_changed` where it is not what it was then.
        """
        file, mark = await _in(self._hashers, self._open, org_id, source, item)
        return OpenedFile(file, mark, self._readers)

    async def peek(
        self, org_id: str, source: Mapping[str, Any], items: Sequence[FileObject], rows: int
    ) -> list[TableFile]:
        """Read schemas and up to `rows` rows of those objects that are tables, MOST_FILES at most.

        What cannot be read is left out. Raises SourceProblem `object_changed`.
        """
        tables = [item for item in items if table_format(item.name)][:MOST_FILES]
        if not tables:
            return []
        return await _in(self._peekers, self._peek, org_id, source, tables, rows)

    async def store(
        self, org_id: str, name: str, chunks: AsyncIterable[bytes], limit_bytes: int
    ) -> FileObject:
        """Keep an upload under a path; it appears whole and durable, or not at all.

        Nothing is ever overwritten, since grants may stand on it: the same content again is
        answered alike. Raises SourceProblem: `path_refused`, `object_too_large`, `object_exists`,
        `source_refused`, `storage_full`, `storage_unavailable`. What `chunks` raises goes through.
        """
        parts = segments(name)
        upload = await _in(self._readers, Upload, self._root, require_owner(org_id))
        try:
            async for chunk in chunks:
                if upload.size + len(chunk) > limit_bytes:
                    detail = f"A file has {limit_bytes} bytes at most."
                    raise SourceProblem("object_too_large", 413, detail)
                await _in(self._readers, upload.write, chunk)
            sha256 = await _in(self._hashers, upload.publish, parts, self._same)
        finally:
            await asyncio.shield(_in(self._readers, upload.discard))
        return FileObject(name, upload.size, sha256, media_type(name))

    async def adopt(
        self, org_id: str, hidden: str, name: str, size: int, sha256: str
    ) -> FileObject:
        """Publish a file that arrived in the organisation's incoming folder, as `store` does."""
        parts, root = segments(name), self._root
        owner = require_owner(org_id)
        await _in(self._hashers, publish_hidden, root, owner, hidden, parts, sha256, self._same)
        return FileObject(name, size, sha256, media_type(name))

    def close(self) -> None:
        """Let the threads end, once nothing is delivered any more."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._hashers.shutdown(wait=False, cancel_futures=True)
        self._peekers.shutdown(wait=False, cancel_futures=True)

    def _describe(self, parts: tuple[str, ...]) -> tuple[FileObject, ...]:
        try:
            node = open_path(self._root, parts)
            try:
                found = list(islice(self._walk(node, parts[-1]), MAX_OBJECTS + 1))
            finally:
                os.close(node)
        except FileNotFoundError:
            raise not_found() from None
        except SourceBroken as error:
            raise changed("It is being changed.") from error
        except OSError as error:
            raise refused("The path") from error
        if not found:
            raise empty()
        if len(found) > MAX_OBJECTS:
            raise too_many()
        return tuple(sorted(found, key=lambda item: item.name))

    def _walk(self, node: int, name: str) -> Iterator[FileObject]:
        """Yield a file under its name, or what is in a folder."""
        if is_folder(node):
            yield from self._inside(node, "")
        else:
            mark, sha256 = self._hashes.sha256(node)
            yield FileObject(name, mark.size, sha256, media_type(name))

    def _inside(self, folder: int, prefix: str) -> Iterator[FileObject]:
        for name in sorted(os.listdir(folder)):
            if name.startswith("."):
                continue
            if not is_path(prefix + name):
                raise refused(prefix + name)
            try:
                node = open_node(name, folder)
            except OSError as error:
                raise refused(prefix + name) from error
            try:
                if is_folder(node):
                    yield from self._inside(node, f"{prefix}{name}/")
                else:
                    yield from self._walk(node, prefix + name)
            finally:
                os.close(node)

    def _open(
        self, org_id: str, source: Mapping[str, Any], item: FileObject
    ) -> tuple[FileIO, Fingerprint]:
        parts = (require_owner(org_id), *segments(str(source.get("path"))))
        try:
            file = self._file(parts, item.name)
        except OSError as error:
            raise _missing(error) from error
        try:
            if os.fstat(file.fileno()).st_size != item.bytes:
                raise changed("Its size is not what was published.")
            mark, sha256 = self._hashes.sha256(file.fileno())
            if sha256 != item.sha256:
                raise changed("Its content is not what was published.")
        except SourceBroken as error:
            file.close()
            raise changed("It is being changed.") from error
        except BaseException:
            file.close()
            raise
        return file, mark

    def _peek(
        self, org_id: str, source: Mapping[str, Any], items: Sequence[FileObject], rows: int
    ) -> list[TableFile]:
        with ExitStack() as opened:
            files = []
            for item in items:
                file, _ = self._open(org_id, source, item)
                opened.callback(file.close)
                files.append((file.fileno(), item.name))
            return read_tables(files, rows)

    def _file(self, parts: tuple[str, ...], name: str) -> FileIO:
        """Open the file at a path, or below the folder there; raises OSError."""
        node = open_path(self._root, parts)
        if is_folder(node):
            os.close(node)
            node = open_path(self._root, (*parts, *segments(name)))
        try:
            return FileIO(node)
        except OSError:  # a folder where a file was
            os.close(node)
            raise

    def _same(self, file: int, sha256: str) -> bool:
        return self._hashes.sha256(file)[1] == sha256


class OpenedFile:
    """A file that was found to be what was published; each piece is checked to be of it still."""

    def __init__(self, file: FileIO, mark: Fingerprint, threads: ThreadPoolExecutor) -> None:
        self._file = file
        self._mark = mark
        self._threads = threads

    async def read(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """Yield bytes `first` to `last` inclusive, reading one piece ahead. Raises SourceBroken."""
        end = last + 1
        ahead = self._ask(first, end) if first < end else None
        try:
            while ahead:
                piece = await ahead
                first += len(piece)
                ahead = self._ask(first, end) if first < end else None
                yield piece
        finally:
            if ahead:  # the file may be closed only when no thread reads it
                await asyncio.wait([ahead])

    async def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _ask(self, at: int, end: int) -> "asyncio.Future[bytes]":
        return _in(self._threads, self._piece, at, min(PIECE, end - at))

    def _piece(self, at: int, count: int) -> bytes:
        file = self._file.fileno()
        piece = os.pread(file, count, at)
        if len(piece) != count or Fingerprint.of(file).content != self._mark.content:
            raise SourceBroken("the file changed while it was delivered")
        return piece


def _in(
    threads: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> "asyncio.Future[T]":
    return asyncio.get_running_loop().run_in_executor(threads, partial(work, *args, **kwargs))


def _missing(error: OSError) -> SourceProblem:
    if error.errno in _GONE:
        return changed("It is not where it was when it was published.")
    return unavailable()
