"""Uploads that go on where they were cut: in the same call, and in the next one.

Nothing is remembered here. The exchange lists what is unfinished, each with the name, size and
sha256 that were announced: so the same bytes are gone on with, by whatever process and from
whatever machine of the organisation, and other bytes never are.
"""

import hashlib
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import httpx

from exchange.client.core import Core, as_json, is_passing, pause_after
from exchange.client.documents import File
from exchange.client.errors import (
    ClientError,
    NotAnExchange,
    NotAsPublished,
    NotReachable,
    Refused,
)
from exchange.client.flow import Flow, Pause, Work
from exchange.client.transfer import IN_VAIN, MOST_ATTEMPTS, PIECE, Progress

SEGMENT = 32 * 1024 * 1024
"""Bytes of one request: what it brought is on the exchange's disk, and is not sent again."""
UPLOADS: Final = "/v1/uploads"
BUSY: Final = "upload_busy"
BUSY_IN_VAIN: Final = IN_VAIN + 3  # a request that was cut may hold its upload for 30 seconds
LOOK_AGAIN: Final = (BUSY, "offset_mismatch", "upload_incomplete", "upload_complete")
HOPELESS: Final = ("object_exists", "source_refused")
SLOW: Final = httpx.codes.REQUEST_TIMEOUT


class Content:
    """A file as it is read first; whatever is sent of it is of the same bytes, or nothing is."""

    def __init__(
        self, path: Path, name: str, connection: str | None, progress: Progress | None
    ) -> None:
        self.path, self._name, self._connection = path, name, connection
        self._progress = progress
        with path.open("rb") as file:
            self._mark = _mark(file)
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            self.bytes = file.tell()

    def announced(self) -> dict[str, Any]:
        """Return what the exchange is told beforehand."""
        document: dict[str, Any] = {"name": self._name, "bytes": self.bytes, "sha256": self.sha256}
        return document | ({"connection": self._connection} if self._connection else {})

    def is_of(self, upload: Mapping[str, Any]) -> bool:
        """Whether an unfinished upload is to be these bytes, at the same place."""
        wanted = self.announced() | {"connection": self._connection}
        return all(upload.get(name) == value for name, value in wanted.items())

    def told(self, done: int) -> None:
        """Tell how far it came."""
        if self._progress is not None:
            self._progress(self._name, done, self.bytes)

    def opened(self, offset: int) -> IO[bytes]:
        """Open the file at a place; raises NotAsPublished where it is not as it was."""
        file = self.path.open("rb")
        if _mark(file) != self._mark:
            file.close()
            raise self.changed()
        file.seek(offset)
        return file

    def changed(self) -> NotAsPublished:
        """Return the error of a file that somebody writes to."""
        return NotAsPublished(
            f"{self.path} changed while it was being sent. Nothing was kept: upload it again."
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """The next bytes of a file, as one request's body; sent again, they are read again."""

    content: Content
    offset: int
    length: int

    def pieces(self) -> Generator[bytes, None, None]:
        """Read them."""
        done, end = self.offset, self.offset + self.length
        with self.content.opened(done) as file:
            while done < end:
                piece = file.read(min(PIECE, end - done))
                if not piece:
                    raise self.content.changed()
                yield piece
                done += len(piece)
                self.content.told(done)


@dataclass(slots=True)
class Place:
    """Where an upload is, and how far it came. None: ask."""

    path: str = ""
    offset: int | None = None


def upload(
    core: Core,
    path: Path,
    name: str,
    progress: Progress | None = None,
    connection: str | None = None,
) -> Flow[File]:
    """Upload a file; return its name, size and checksum as the exchange, or the store, has them.

    Raises NotAsPublished when what is stored is not what was read, or what was read changed.
    """
    content: Content = yield Work(partial(Content, path, name, connection, progress))
    place, furthest, in_vain, failures = Place(), -1, 0, 0
    while True:
        try:
            stored = yield from _step(core, content, place)
        except NotAsPublished:
            yield from _give_up(core, place)
            raise
        except (NotReachable, Refused) as error:
            code = error.code if isinstance(error, Refused) else ""
            if code in HOPELESS:
                yield from _give_up(core, place)
            if code == "upload_unknown":  # it was forgotten: begin afresh
                place.path = ""
            elif not (is_passing(error) or code in LOOK_AGAIN or _is_slow(error)):
                raise
            place.offset = None
            in_vain, failures = in_vain + 1, failures + 1
            most = BUSY_IN_VAIN if code == BUSY else IN_VAIN
            if in_vain >= most or failures >= MOST_ATTEMPTS:
                raise
            yield Pause(pause_after(in_vain))
            continue
        if stored is not None:
            return stored
        if place.offset is not None:
            content.told(place.offset)
            if place.offset > furthest:
                furthest, in_vain = place.offset, 0


def _step(core: Core, content: Content, place: Place) -> Flow[File | None]:
    """Do what comes next: find or begin it, ask how far it came, send on, complete it."""
    if not place.path:
        place.path, place.offset = yield from _begun(core, content)
    elif place.offset is None:
        _, place.offset = _read((yield from core.get(place.path)))
    elif place.offset < content.bytes:
        offset, place.offset = place.offset, None  # until it is answered
        place.offset = yield from _sent(core, content, place.path, offset)
    else:
        return (yield from _completed(core, content, place.path))
    if place.offset is not None and place.offset > content.bytes:
        raise NotAnExchange("The exchange has more bytes of the upload than there are.")
    return None


def _begun(core: Core, content: Content) -> Flow[tuple[str, int]]:
    """Find an upload of these bytes that is unfinished, or begin one."""
    listed = yield from core.get(UPLOADS)
    try:
        found = [_read(each) for each in listed["items"] if content.is_of(each)]
    except (KeyError, TypeError, AttributeError) as error:
        raise NotAnExchange(f"{UPLOADS} answers with no list.") from error
    if found:
        return max(found, key=lambda each: each[1])
    # Not by `post`: where its answer is lost, looking again finds what was begun.
    answer = yield from core.ask("POST", UPLOADS, json=content.announced())
    return _read(as_json(answer))


def _sent(core: Core, content: Content, path: str, offset: int) -> Flow[int]:
    body = Segment(content, offset, min(SEGMENT, content.bytes - offset))
    headers = {
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(body.length),
        "Upload-Offset": str(offset),
        "Tus-Resumable": "1.0.0",
    }
    answer = yield from core.ask("PATCH", path, headers=headers, body=body)
    now = answer.headers.get("Upload-Offset", "")
    if not now.isdecimal() or int(now) <= offset:
        raise NotAnExchange("The exchange does not say how much of the upload arrived.")
    return int(now)


def _completed(core: Core, content: Content, path: str) -> Flow[File]:
    try:
        document = as_json((yield from core.ask("POST", f"{path}/complete")))
    except Refused as refusal:
        if refusal.code == "checksum_mismatch":
            raise NotAsPublished(
                f"{content.path}: other bytes arrived than were read (sha256 {content.sha256}). "
                "Nothing was kept: upload it again."
            ) from refusal
        raise
    stored = File.of(document)
    if (stored.sha256, stored.bytes) != (content.sha256, content.bytes):
        raise NotAsPublished(
            f"{content.path}: the exchange stored other bytes than were sent (sha256 "
            f"{stored.sha256}, sent {content.sha256})."
        )
    return stored


def _give_up(core: Core, place: Place) -> Flow[None]:
    """Take no room for what will never be complete; what fails here, a day's sweep does."""
    for attempt in range(1, IN_VAIN if place.path else 0):
        try:
            yield from core.ask("DELETE", place.path)
        except Refused as refusal:
            if refusal.code != BUSY:
                return
            yield Pause(pause_after(attempt))
        except ClientError:
            return
        else:
            return


def _read(upload: Any) -> tuple[str, int]:
    """Return where an upload is and how far it came; raises NotAnExchange."""
    try:
        return f"{UPLOADS}/{upload['id']}", int(upload["offset"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotAnExchange("The exchange describes an upload as none is.") from error


def _is_slow(error: Exception) -> bool:
    return isinstance(error, Refused) and error.status == SLOW


def _mark(file: IO[bytes]) -> tuple[int, ...]:
    """Return what is another when a file is written to, or replaced."""
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
