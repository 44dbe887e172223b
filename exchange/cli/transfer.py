"""Files to and from the exchange with a progress bar; what is done is the client library's."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from exchange.cli.output import err, plain
from exchange.client import transfer, uploading
from exchange.client.core import is_passing
from exchange.client.errors import NotReachable, Refused
from exchange.client.session import Session
from exchange.client.transfer import Progress

Stored = dict[str, Any]
GOES_ON = "What has arrived stays: the same command goes on from there."


def upload(platform: Session, path: Path, name: str, connection: str | None = None) -> Stored:
    """Upload a file for an offering; return its name, size and checksum as they are stored.

    Raises NotAsPublished when what is stored is not what was read; what was cut goes on where it
    ended, now or by the next call.
    """
    with _bar("upload ") as progress:
        sending = uploading.upload(platform.core, path, name, progress, connection)
        return dict(platform.run(sending).raw)


def download(
    sme: Session, grant: str, folder: Path, most: int | None = None
) -> list[tuple[Path, Stored]]:
    """Download the files of a grant, the first `most` or all.

    Each appears under its name when its checksum is right.

    Raises NotAsPublished; what was cut goes on where it ended, now or by the next call.
    """
    with _bar() as progress:
        done = sme.run(transfer.download(sme.core, grant, folder, progress, most))
    return [(path, dict(item.raw)) for path, item in done]


class Answer:
    """A call's answer on its way into a file: beside it, in FILE.part, until it is whole."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path, self._progress = path, progress
        # A pipe, a terminal or /dev/null is written to as it is: nothing can take its place.
        self._is_file = path.is_file() or not path.exists()
        self.part = path.with_name(f"{path.name}.part") if self._is_file else path
        self._file: IO[bytes] | None = None
        self._done = self._total = 0

    def begin(self, _status: int, headers: Mapping[str, str]) -> None:
        """Open the part, since an answer begins."""
        length = headers.get("content-length", "")
        self._total = int(length) if length.isdecimal() else 0
        self._file = self.part.open("wb")
        self.write(b"")

    def write(self, piece: bytes) -> None:
        """Write a piece."""
        if self._file is not None:
            self._file.write(piece)
            self._file.flush()
        self._done += len(piece)
        self._progress(self._path.name, self._done, self._total)

    def finish(self) -> None:
        """Put the file under its name."""
        if self._file is None:  # an answer without a body, such as 304
            self.begin(0, {})
        self._end()
        if self._is_file:
            self.part.replace(self._path)

    def leave(self) -> None:
        """Say where what arrived is, if anything did."""
        if self._file is None:
            return
        self._end()
        if self._is_file and self._done:
            err.print(plain(f"  What arrived stays in {self.part}; it is not whole."))
        elif self._is_file:
            self.part.unlink(missing_ok=True)

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()


@contextmanager
def writing(path: Path) -> Iterator[Answer]:
    """Take a call's answer into a file, with a progress bar; what was there stays until its end."""
    with _bar(hint="") as progress:
        answer = Answer(path, progress)
        try:
            yield answer
        except BaseException:
            answer.leave()
            raise
        answer.finish()


@contextmanager
def _bar(what: str = "", hint: str = GOES_ON) -> Iterator[Progress]:
    # rich.progress takes as long to import as half the verbs take to run
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    name = TextColumn("  {task.description}", markup=False)
    tasks: dict[str, Any] = {}
    with Bars(name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=err) as bars:
        arrived: dict[str, bool] = {}

        def told(file: str, done: int, total: int) -> None:
            arrived[file] = 0 < done < total
            if file not in tasks:
                tasks[file] = bars.add_task(what + file, total=total or None)
            bars.update(tasks[file], completed=done)

        try:
            yield told
        except KeyboardInterrupt:
            err.print(f"  Stopped. {hint}".rstrip())
            raise
        except (NotReachable, Refused) as error:
            if hint and is_passing(error) and any(arrived.values()):
                err.print(f"  {hint}")
            raise
