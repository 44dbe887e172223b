"""An upload that arrives in several requests: its bytes so far, and beside them what it is to be.

Both lie in the organisation's incoming folder, `ID` and `ID.json`, so a restart, or another worker
of the same folder, goes on. Whoever writes holds the file's lock. What nobody went on with for a
day is swept away.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final

from connectors.gateway.source import SourceProblem
from connectors.paths import opened_folder
from connectors.upload import FORGOTTEN_SECONDS, INCOMING, incoming, storing, sweep

MOST_UNFINISHED: Final = 32
"""Uploads that an organisation may have open."""

_ID = re.compile("upl_[0-9a-f]{32}")
_PIECE: Final = 1 << 20
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Partial:
    """How far an upload came. `sha256` (hex) is what its sender says; None: nothing.

    `connection` names the store that it goes to, None: the exchange's files. `done` is the object
    that it became; `expires_ms` when it is forgotten unless someone goes on.
    """

    id: str
    name: str
    bytes: int
    sha256: str | None
    connection: str | None
    offset: int = 0
    expires_ms: int = 0
    done: dict[str, Any] | None = None


def begin(
    root: Path, org_id: str, name: str, size: int, sha256: str | None, connection: str | None
) -> Partial:
    """Make room for an upload. Raises SourceProblem `uploads_too_many`, `storage_unavailable`."""
    made = Partial(f"upl_{secrets.token_hex(16)}", name, size, sha256, connection)
    with storing(), incoming(root, org_id) as folder:
        sweep(folder)
        if len(_ids(folder)) >= MOST_UNFINISHED:
            raise SourceProblem(
                "uploads_too_many",
                409,
                f"{MOST_UNFINISHED} uploads of your organisation are unfinished.",
                hint="Complete or delete some; those untouched for a day go by themselves.",
            )
        os.close(os.open(made.id, _NEW, 0o640, dir_fd=folder))
        _write(folder, made)
    return look(root, org_id, made.id)


def look(root: Path, org_id: str, upload_id: str) -> Partial:
    """Return how far an upload came. Raises SourceProblem `upload_unknown`."""
    with storing(), incoming(root, org_id) as folder:
        return _read(folder, upload_id)


def unfinished(root: Path, org_id: str) -> list[Partial]:
    """Return an organisation's uploads that are not complete, in no order."""
    found = []
    with storing(), incoming(root, org_id) as folder:
        for upload_id in _ids(folder):
            with suppress(SourceProblem):  # it has just gone
                found.append(_read(folder, upload_id))
    return found


def drop(root: Path, org_id: str, upload_id: str) -> None:
    """Forget an upload, unless someone is writing it. Raises SourceProblem."""
    file = opened(root, org_id, upload_id)
    try:
        file.remove()
    finally:
        file.close()


def sweep_all(root: Path) -> None:
    """Drop what nobody went on with, of every organisation."""
    for owner in root.iterdir():
        with suppress(OSError), opened_folder(root, (owner.name, INCOMING)) as folder:
            sweep(folder)


class PartialFile:
    """An upload's bytes, locked against other requests. Its methods block. Close it in the end."""

    def __init__(self, root: Path, org_id: str, upload_id: str) -> None:
        """Open and lock. Raises SourceProblem `upload_unknown`, `upload_busy`."""
        self._root, self._org_id = root, org_id
        # Whoever waited for a thread may be gone; nothing is closed under the thread.
        self._one = Lock()
        with storing(), incoming(root, org_id) as folder:
            _read(folder, upload_id)
            try:
                self.file = os.open(upload_id, _OPEN, dir_fd=folder)
            except FileNotFoundError:  # it became an object, or was dropped
                self.file = -1
                self.state = _read(folder, upload_id)
                return
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.state = _read(folder, upload_id)  # as the last one who had the lock left it
            except BlockingIOError:
                os.close(self.file)
                raise _busy() from None
            except BaseException:
                os.close(self.file)
                raise

    def write(self, chunk: bytes) -> None:
        """Append. Raises SourceProblem `upload_too_long`, `storage_full`."""
        room = self.state.bytes - self.state.offset
        with self._one, storing():
            rest, at = memoryview(chunk)[:room], self.state.offset
            while rest:
                written = os.pwrite(self.file, rest, at)
                rest, at = rest[written:], at + written
        self.state = replace(self.state, offset=at)
        if len(chunk) > room:
            detail = f"The upload has {self.state.bytes} bytes, as was said when it began."
            raise SourceProblem("upload_too_long", 413, detail)

    def flush(self) -> Partial:
        """Put on disk what arrived; return how far it came."""
        with self._one, storing(), incoming(self._root, self._org_id) as folder:
            os.fsync(self.file)
            os.utime(f"{self.state.id}.json", dir_fd=folder)
            self.state = _read(folder, self.state.id)
        return self.state

    def content(self) -> BinaryIO:
        """Return the file from its beginning, to be closed; it holds the lock too."""
        content = os.fdopen(os.dup(self.file), "rb")
        content.seek(0)
        return content

    def hash(self) -> str:
        """Return the sha256 (hex) of what is here."""
        digest, at = hashlib.sha256(), 0
        with self._one, storing():
            while piece := os.pread(self.file, _PIECE, at):
                digest.update(piece)
                at += len(piece)
        return digest.hexdigest()

    def settle(self, done: dict[str, Any]) -> Partial:
        """Remember what it became, so that asking again is answered alike, and drop its bytes."""
        with storing(), incoming(self._root, self._org_id) as folder:
            self.state = replace(self.state, done=done)
            _write(folder, self.state)
            with suppress(FileNotFoundError):
                os.unlink(self.state.id, dir_fd=folder)
        return self.state

    def remove(self) -> None:
        """Forget all of it."""
        with storing(), incoming(self._root, self._org_id) as folder:
            for name in (self.state.id, f"{self.state.id}.json"):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)

    def close(self) -> None:
        """Let another go on."""
        with self._one:
            if self.file >= 0:
                os.close(self.file)
                self.file = -1


def opened(root: Path, org_id: str, upload_id: str) -> PartialFile:
    """Open and lock an upload's bytes. Raises SourceProblem."""
    return PartialFile(root, org_id, upload_id)


def _ids(folder: int) -> list[str]:
    return [name for name in os.listdir(folder) if _ID.fullmatch(name)]


def _read(folder: int, upload_id: str) -> Partial:
    unknown = SourceProblem("upload_unknown", 404, "There is no such upload (any more).")
    if not _ID.fullmatch(upload_id):
        raise unknown
    try:
        file = os.open(f"{upload_id}.json", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        raise unknown from None
    with os.fdopen(file, "rb") as opened_file:
        touched = os.fstat(opened_file.fileno()).st_mtime
        found = Partial(**json.load(opened_file))
    offset = found.bytes
    if found.done is None:
        try:
            offset = os.stat(upload_id, dir_fd=folder, follow_symlinks=False).st_size
        except FileNotFoundError:
            raise unknown from None
    return replace(found, offset=offset, expires_ms=int((touched + FORGOTTEN_SECONDS) * 1000))


def _write(folder: int, state: Partial) -> None:
    """Replace the record, whole and durable."""
    new = f"{state.id}.{time.monotonic_ns()}.new"
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=folder)
    with os.fdopen(file, "w", encoding="utf-8") as opened_file:
        json.dump(asdict(state), opened_file)
        opened_file.flush()
        os.fsync(opened_file.fileno())
    os.rename(new, f"{state.id}.json", src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def _busy() -> SourceProblem:
    problem = SourceProblem(
        "upload_busy",
        409,
        "Another request is writing this upload.",
        hint="Ask for its offset again in a moment: a request that was cut ends by itself.",
    )
    problem.headers["Retry-After"] = "1"
    return problem
