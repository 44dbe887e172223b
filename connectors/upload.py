"""Taking a file in: hidden while it arrives, then whole and durable under its name, or not at all.

Bytes go to `.incoming/` beside the files of the same organisation; a hard link, which never
replaces, gives the name. A program that was killed leaves only hidden files; the next upload a
day later sweeps them away.
"""

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from connectors.gateway.source import SourceProblem
from connectors.objects import exists
from connectors.paths import is_folder, open_node, opened_folder

INCOMING: Final = ".incoming"
FORGOTTEN_SECONDS: Final = 86_400
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_IN_THE_WAY = (errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENAMETOOLONG)

Same = Callable[[int, str], bool]
"""Whether an open file's content has this sha256 (hex)."""


class Upload:
    """One upload; its methods block, one thread at a time. Always `discard` it in the end."""

    def __init__(self, root: Path, org_id: str) -> None:
        """Begin: makes the organisation's folder if need be. Raises SourceProblem."""
        self.size = 0
        self._root = root
        self._org_id = org_id
        self._name = secrets.token_hex(16)
        self._digest = hashlib.sha256()
        with storing(), incoming(self._root, self._org_id) as folder:
            sweep(folder)
            self._file = FileIO(os.open(self._name, _CREATE, 0o640, dir_fd=folder), "wb")

    def write(self, chunk: bytes) -> None:
        """Append; raises SourceProblem `storage_full`."""
        with storing():
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._file.write(rest) :]
        self._digest.update(chunk)
        self.size += len(chunk)

    def publish(self, parts: tuple[str, ...], same: Same) -> str:
        """Give the file its name, durably, and return its sha256 (hex). Raises SourceProblem."""
        sha256 = self._digest.hexdigest()
        with storing():
            os.fsync(self._file.fileno())
        publish_hidden(self._root, self._org_id, self._name, parts, sha256, same)
        return sha256

    def discard(self) -> None:
        """Drop what is not published; harmless afterwards and when called twice."""
        self._file.close()
        with suppress(OSError), incoming(self._root, self._org_id) as folder:
            os.unlink(self._name, dir_fd=folder)


def publish_hidden(
    root: Path, org_id: str, hidden: str, parts: tuple[str, ...], sha256: str, same: Same
) -> None:
    """Give an incoming file that is on disk its name, durably. Raises SourceProblem."""
    with storing(), opened_folder(root, (org_id, *parts[:-1]), make=True) as folder:
        try:
            with incoming(root, org_id) as hidden_in:
                os.link(hidden, parts[-1], src_dir_fd=hidden_in, dst_dir_fd=folder)
        except FileExistsError:
            node = open_node(parts[-1], folder)
            try:
                if is_folder(node) or not same(node, sha256):
                    raise exists() from None
            finally:
                os.close(node)
        os.fsync(folder)


@contextmanager
def incoming(root: Path, org_id: str) -> Iterator[int]:
    """Give a descriptor of the folder in which an organisation's files arrive."""
    with opened_folder(root, (org_id, INCOMING), make=True) as folder:
        yield folder


def sweep(folder: int) -> None:
    """Drop what programs that were killed, or gave up, left behind."""
    oldest = time.time() - FORGOTTEN_SECONDS
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):
            if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < oldest:
                os.unlink(name, dir_fd=folder)


@contextmanager
def storing() -> Iterator[None]:
    """Put the system's errors into the caller's words."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            problem = SourceProblem("storage_full", 507, "There is no room for this file.")
        elif error.errno in _IN_THE_WAY:
            problem = SourceProblem("source_refused", 422, "A file or a link is in the path's way.")
        else:
            problem = SourceProblem("storage_unavailable", 503, "Files cannot be kept right now.")
        raise problem from error
