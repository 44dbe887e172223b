"""Checkpoints kept outside the database, and the locks that say which process may write.

A rollback of the database after a release would be a fork; the kept checkpoint is how the next
start notices (see start.py). Keep this folder apart from the database's backups.
"""

import fcntl
import os
import secrets
import threading
from pathlib import Path
from typing import IO

from exchange.errors import StartUpError

SLOTS = 256


def make_private_dir(path: Path, purpose: str) -> Path:
    """Create a folder of mode 0700, or say what stands in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = path / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise StartUpError(
            f"No permission to write {purpose} in {path} ({error.strerror}). "
            "Choose another folder with EXCHANGE_STATE_DIR, or change its owner."
        ) from error
    return path


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file so that after a crash either the old or the new content stands there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def lock_file(path: Path) -> IO[bytes] | None:
    """Take an advisory lock that ends with the process; None when another process has it."""
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


class Keeper:
    """One worker's file of the newest checkpoint that it released; `size` is that one's."""

    def __init__(self, folder: Path) -> None:
        self.folder = make_private_dir(folder, "checkpoints")
        self.size = -1
        self._one_at_a_time = threading.Lock()
        for slot in range(SLOTS):
            lock = lock_file(folder / f"worker-{slot}.lock")
            if lock is not None:
                self._lock = lock
                self.path = folder / f"worker-{slot}.checkpoint"
                for torn in folder.glob(f".{self.path.name}.*"):  # its last holder was killed
                    torn.unlink(missing_ok=True)
                return
        raise StartUpError(f"{SLOTS} workers already keep checkpoints in {folder}.")

    def keep(self, note: str, size: int) -> None:
        """Replace this worker's checkpoint unless a newer one stands there; raises OSError."""
        with self._one_at_a_time:
            if size > self.size:
                write_durably(self.path, note.encode())
                self.size = size

    def close(self) -> None:
        """Free the slot for another worker."""
        self._lock.close()


def kept_notes(folder: Path) -> list[str]:
    """Return every checkpoint kept in the folder, as signed notes."""
    return [p.read_text("utf-8") for p in sorted(folder.glob("*.checkpoint"))]


def load_key(path: Path, size: int, damaged: str) -> bytes:
    """Read the random bytes that all workers share, or make them; raises StartUpError.

    `damaged` says what to do where the file cannot be what it was.
    """
    with path.with_suffix(".lock").open("ab") as lock:  # one of the workers makes it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            write_durably(path, secrets.token_bytes(size))
    try:
        key = path.read_bytes()
    except OSError as error:
        raise StartUpError(f"{path} cannot be read. {damaged}") from error
    if len(key) != size:
        raise StartUpError(f"{path} is not a key of {size} bytes. {damaged}")
    return key
