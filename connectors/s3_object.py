"""An object of a store that is being read: ranges in pieces, each of the content that was named."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import Final

from urllib3.response import BaseHTTPResponse

from connectors.gateway.source import SourceBroken
from connectors.s3_bucket import Away, Bucket, Stat, StoreProblem
from connectors.s3_words import as_reader
from connectors.shares import Shares

PIECE: Final = 4 << 20
"""Most bytes read at once. A delivery holds two pieces, and what its connection has not sent.

Measured: 512 MiB cost the gateway 1.05 s of processor by pieces of 256 KiB, 0.63 s by 1 MiB, 0.36 s
by 4 MiB. So pieces grow for a reader who keeps up, and while there is room for all who read.
"""

SMALLEST: Final = 256 * 1024
ROOM: Final = 64 << 20
QUICK_SECONDS: Final = 0.25

URL_SECONDS: Final = 30
"""How long a redirected reader may begin."""


class Room:
    """What all readers together may ask for at once: fewer have larger pieces."""

    def __init__(self) -> None:
        self.readers = 0

    def piece(self, before: int, *, quick: bool) -> int:
        """Return the size of a reader's next piece."""
        wanted = before * 2 if quick else before // 2
        return max(SMALLEST, min(wanted, PIECE, ROOM // max(self.readers, 1)))


class S3Object:
    """An object that was found to be what was published; each range is asked for by its tag."""

    def __init__(
        self, bucket: Bucket, stat: Stat, org_id: str, threads: Shares, room: Room
    ) -> None:
        self._bucket, self._stat = bucket, stat
        self._org_id, self._threads, self._room = org_id, threads, room

    async def read(self, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """Yield bytes `first` to `last` inclusive, reading one piece ahead. Raises SourceBroken."""
        left = last + 1 - first
        if left <= 0:
            return
        response = await self._begin(first, last)
        time, size = asyncio.get_running_loop().time, SMALLEST
        self._room.readers += 1
        ahead: asyncio.Task[bytes] | None = self._ask(response, min(size, left))
        try:
            while ahead:
                piece = await ahead
                left -= len(piece)
                ahead = self._ask(response, min(size, left)) if left else None
                given = time()
                yield piece
                size = self._room.piece(size, quick=time() - given < QUICK_SECONDS)
        finally:
            self._room.readers -= 1
            if ahead and not ahead.done():
                response.shutdown()  # a store that hangs must not hold the one who leaves
                await asyncio.wait([ahead])
            _let_go(response, left)

    async def close(self) -> None:
        """Nothing is held open between reads."""

    async def location(self, disposition: str) -> str:
        """Return a URL of URL_SECONDS that reads the object at its store; it is a secret."""
        with as_reader():
            return self._bucket.presigned(
                self._stat.key, self._stat.version_id, URL_SECONDS, disposition
            )

    async def _begin(self, first: int, last: int) -> BaseHTTPResponse:
        try:
            return await self._threads.run(self._org_id, self._bucket.get, self._stat, first, last)
        except StoreProblem as error:
            raise SourceBroken("the store gives the object no more") from error

    def _ask(self, response: BaseHTTPResponse, count: int) -> "asyncio.Task[bytes]":
        return asyncio.create_task(self._threads.run(self._org_id, _piece, response, count))


def hash_object(bucket: Bucket, stat: Stat) -> str:
    """Read an object and return its sha256 (hex); blocks. Raises StoreProblem."""
    digest = hashlib.sha256()
    if stat.size:
        copy_range(bucket, stat, 0, stat.size - 1, digest.update)
    return digest.hexdigest()


def copy_range(
    bucket: Bucket, stat: Stat, first: int, last: int, write: Callable[[bytes], object]
) -> None:
    """Read bytes `first` to `last` inclusive into `write`; blocks. Raises StoreProblem."""
    left = last + 1 - first
    response = bucket.get(stat, first, last)
    try:
        while left:
            piece = _piece(response, min(PIECE, left))
            write(piece)
            left -= len(piece)
    except SourceBroken as error:
        raise Away from error
    finally:
        _let_go(response, left)


def _let_go(response: BaseHTTPResponse, left: int) -> None:
    """Keep the connection for another request; not where something is left to come."""
    if left:
        response.close()
    else:
        response.release_conn()


def _piece(response: BaseHTTPResponse, count: int) -> bytes:
    try:
        piece = response.read(count, decode_content=False)
    except Exception as error:  # of urllib3, of the system, of a socket that was shut meanwhile
        raise SourceBroken("the store broke off") from error
    if len(piece) != count:
        raise SourceBroken("the store ended early")
    return piece
