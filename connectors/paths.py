"""Strict relative paths, opened one segment at a time so that no link or `..` leads elsewhere."""

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from connectors.gateway.source import SourceProblem

MAX_PATH: Final = 512
"""Longest path in characters; a segment has 255 bytes at most, as file systems demand."""

_MAX_SEGMENT: Final = 255
_MAX_DEPTH: Final = 16
_SEGMENT = re.compile(r"[\w-][\w.-]*")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_NODE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY


def segments(path: str) -> tuple[str, ...]:
    """Split a path into its segments; raises SourceProblem `path_refused`.

    A segment is letters and digits of any script (in Unicode's form NFC, so that one name has one
    spelling), `_`, `-` and `.`, the last not in front: there is no `..` and nothing hidden.
    """
    parts = tuple(path.split("/")) if len(path) <= MAX_PATH else ()
    if not 1 <= len(parts) <= _MAX_DEPTH or not all(map(_is_segment, parts)):
        raise SourceProblem(
            "path_refused",
            422,
            "Not a path that is served: letters, digits, '_', '-', '.' in parts joined by '/', "
            f"none beginning with '.'; at most {MAX_PATH} characters in {_MAX_DEPTH} parts.",
        )
    return parts


def is_path(path: str) -> bool:
    """Whether `segments` accepts a path."""
    try:
        return bool(segments(path))
    except SourceProblem:
        return False


def _is_segment(name: str) -> bool:
    if not _SEGMENT.fullmatch(name) or not unicodedata.is_normalized("NFC", name):
        return False
    return len(name.encode()) <= _MAX_SEGMENT


def require_owner(org_id: str) -> str:
    """Return an organisation's id that may name a folder; raises SourceProblem."""
    if not _OWNER.fullmatch(org_id):
        raise SourceProblem("path_refused", 422, "Not an organisation's id.")
    return org_id


@contextmanager
def opened_folder(root: Path, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """Give a descriptor of a folder below `root`, made on the way if asked; raises OSError."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            if make:
                _make_folder(part, at)
            deeper = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = deeper
        yield at
    finally:
        os.close(at)


def open_path(root: Path, parts: tuple[str, ...]) -> int:
    """Open the file or folder at a path below `root` for reading; raises OSError."""
    with opened_folder(root, parts[:-1]) as folder:
        return open_node(parts[-1], folder)


def open_node(name: str, folder: int) -> int:
    """Open a file or folder for reading, never through a link; raises OSError, also for others."""
    node = os.open(name, _NODE, dir_fd=folder)
    mode = os.fstat(node).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return node
    os.close(node)
    raise OSError(errno.EINVAL, "neither a file nor a folder")


def is_folder(node: int) -> bool:
    """Whether an open descriptor is a folder's."""
    return stat.S_ISDIR(os.fstat(node).st_mode)


def _make_folder(name: str, parent: int) -> None:
    try:
        os.mkdir(name, 0o750, dir_fd=parent)
    except FileExistsError:
        return
    os.fsync(parent)
