"""Files' hashes, remembered for as long as a file is the same by all that the system tells."""

import hashlib
import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final, Self

from connectors.gateway.source import SourceBroken

_PIECE: Final = 1 << 20
_KEPT: Final = 10_000
_SETTLED_NS: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a file and its content from others without reading it.

    The change time is part of it, since a program can set a modification time back, not that.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, file: int) -> Self:
        """Read it off an open file."""
        found = os.fstat(file)
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    @property
    def content(self) -> tuple[int, int]:
        """What changes with every write: a new link or a rename changes only the rest."""
        return self.size, self.mtime_ns

    def settled(self) -> bool:
        """Whether a later change is sure to show: clocks of file systems tick in up to 2 s."""
        return time.time_ns() - self.ctime_ns > _SETTLED_NS


class Hashes:
    """SHA-256 of open files. For threads; the same file asked for twice at once is read once."""

    def __init__(self) -> None:
        self._known: OrderedDict[Fingerprint, str] = OrderedDict()
        self._busy: dict[Fingerprint, Lock] = {}
        self._lock = Lock()

    def sha256(self, file: int) -> tuple[Fingerprint, str]:
        """Return fingerprint and hash (hex); SourceBroken if it changes while it is read."""
        mark = Fingerprint.of(file)
        with self._lock:
            busy = self._busy.setdefault(mark, Lock())
        try:
            with busy:
                return mark, self._recall(mark) or self._hash(file, mark)
        finally:
            with self._lock:
                self._busy.pop(mark, None)

    def _recall(self, mark: Fingerprint) -> str | None:
        with self._lock:
            if mark in self._known:
                self._known.move_to_end(mark)
            return self._known.get(mark)

    def _hash(self, file: int, mark: Fingerprint) -> str:
        digest, buffer, at = hashlib.sha256(), bytearray(_PIECE), 0
        view = memoryview(buffer)
        while read := os.preadv(file, [buffer], at):
            digest.update(view[:read])
            at += read
        if at != mark.size or Fingerprint.of(file) != mark:
            raise SourceBroken("the file changed while it was hashed")
        found = digest.hexdigest()
        if mark.settled():
            with self._lock:
                self._known[mark] = found
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return found
