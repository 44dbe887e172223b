"""Files from the exchange: whole and as published, or not at all; what was cut goes on."""

import hashlib
import os
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import IO

import httpx

from exchange.client.core import Core, is_passing, pause_after
from exchange.client.documents import File, Listed
from exchange.client.errors import ClientError, NotAsPublished, NotReachable, Refused
from exchange.client.flow import Flow, Pause, Work

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # on Windows two downloads into one folder are not told apart
    fcntl = None

PIECE = 256 * 1024
IN_VAIN = 6  # attempts one after the other that bring no byte
MOST_ATTEMPTS = 100
Progress = Callable[[str, int, int], None]


def listed(core: Core, grant: str) -> Flow[Listed]:
    """Return what a grant delivers."""
    scope = f"grant:{grant}"
    return Listed.of((yield from core.get(f"/gateway/grants/{grant}", scope=scope)))


def download(
    core: Core,
    grant: str,
    folder: Path,
    progress: Progress | None = None,
    most: int | None = None,
) -> Flow[list[tuple[Path, File]]]:
    """Download every file of a grant, or the first `most`.

    Raises NotAsPublished, and then keeps nothing of that file.

    After any other error the bytes that are here stay in `NAME.CHECKSUM.part`, and are not asked
    for again: a part belongs to the one version whose checksum (its ETag) its name holds.
    """
    try:
        found = yield from listed(core, grant)
        done = []
        for item in found.objects[:most]:
            path = yield Work(partial(inside, folder, item.name))
            yield from fetch(core, f"grant:{grant}", item, path, progress)
            done.append((path, item))
    except Refused as refusal:
        yield from because(core, grant, refusal)
        raise
    return done


def because(core: Core, grant: str, refusal: Refused) -> Flow[None]:
    """Put the grant into a refusal: it says who suspended or revoked it, when and why."""
    try:
        refusal.document["grant"] = yield from core.get(f"/v1/grants/{grant}")
    except ClientError:
        return  # the refusal stands without it


def inside(folder: Path, name: str) -> Path:
    """Return where a file goes; a name that leads out of the folder is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise NotAsPublished(f"The name {name!r} leads out of the folder. Nothing was kept.")
    path = folder.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(folder.resolve()):  # a link in the folder
        raise NotAsPublished(f"The name {name!r} leads out of the folder. Nothing was kept.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def fetch(
    core: Core, scope: str, item: File, path: Path, progress: Progress | None = None
) -> Flow[None]:
    """Bring one file to a path, going on where an earlier attempt was cut."""
    part: Part = yield Work(lambda: Part(item, path, progress))
    in_vain = 0
    try:
        for _ in range(MOST_ATTEMPTS):
            before = part.size
            if before >= item.bytes and (before or part.is_begun):
                break
            cut: Exception | None = None
            try:
                headers = {"Accept-Encoding": "identity"} | part.conditions()
                yield from core.ask("GET", item.url, scope=scope, headers=headers, sink=part)
            except (NotReachable, Refused) as error:
                if not is_passing(error):
                    raise
                cut = error
            in_vain = 0 if part.size > before else in_vain + 1
            if part.size < item.bytes:
                if in_vain >= IN_VAIN:
                    raise cut or _shorter(item, part.size)
                yield Pause(pause_after(in_vain))
        yield Work(part.finish)
    finally:
        part.close()


def _shorter(item: File, size: int) -> NotAsPublished:
    return NotAsPublished(
        f"{item.name}: what arrived is not what was published: it ends after {size:,} of "
        f"{item.bytes:,} bytes, again and again."
    )


def _own(path: Path) -> tuple[Path, IO[bytes]]:
    """Open a part that nobody else writes to: while another download has it, one beside it."""
    file = path.open("a+b")
    if _is_ours(file, path):
        return path, file
    file.close()
    own = path.with_name(f"{path.stem}.{secrets.token_hex(4)}.part")
    return own, own.open("a+b")


def _is_ours(file: IO[bytes], path: Path) -> bool:
    """Take the lock on an open part; not where another has it, or has just finished with it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


class Part:
    """The bytes of a file that are here so far."""

    def __init__(self, item: File, path: Path, progress: Progress | None = None) -> None:
        self._item, self._path, self._progress = item, path, progress
        self._digest, self.size, self.is_begun = hashlib.sha256(), 0, False
        shared = path.with_name(f"{path.name}.{item.sha256[:16]}.part")
        self.path, self._file = _own(shared)
        self._goes_on = self.path == shared
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            self._digest.update(piece)
            self.size += len(piece)
        if self.size > item.bytes:
            self._anew()
        self._told()

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for what is missing, of this version only."""
        if not self.size:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": f'"{self._item.sha256}"'}

    def begin(self, response: httpx.Response) -> None:
        """See whether what comes goes on here, or begins anew."""
        self.is_begun = True
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            self._anew()
        elif not response.headers.get("content-range", "").startswith(f"bytes {self.size}-"):
            raise NotAsPublished(f"{self._item.name}: another part arrived than was asked for.")

    def write(self, piece: bytes) -> None:
        """Take the next bytes; more than there should be are refused at once."""
        if self.size + len(piece) > self._item.bytes:
            self.drop()
            raise NotAsPublished(
                f"{self._item.name}: what arrived is not what was published: it has more than "
                f"{self._item.bytes:,} bytes. Nothing was kept."
            )
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)
        self._told()

    def finish(self) -> None:
        """Put the file under its name, when it is what was published."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._digest.hexdigest() != self._item.sha256 or self.size != self._item.bytes:
            self.drop()
            raise NotAsPublished(
                f"{self._item.name}: what arrived is not what was published (sha256 "
                f"{self._digest.hexdigest()}, published {self._item.sha256}). Nothing was kept."
            )
        self.path.replace(self._path)

    def drop(self) -> None:
        """Keep nothing."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Keep what is here for another attempt, where there is something that it would find."""
        self._file.close()
        if not (self.size and self._goes_on):
            self.drop()

    def _anew(self) -> None:
        self._file.truncate(0)
        self._digest, self.size = hashlib.sha256(), 0

    def _told(self) -> None:
        if self._progress is not None:
            self._progress(self._item.name, self.size, self._item.bytes)
