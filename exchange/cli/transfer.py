"""Files to and from the exchange with a progress bar; what is done is the client library's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exchange.cli.output import err
from exchange.client import transfer, uploading
from exchange.client.session import Session
from exchange.client.transfer import Progress

Stored = dict[str, Any]


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


@contextmanager
def _bar(what: str = "") -> Iterator[Progress]:
    # rich.progress takes as long to import as half the verbs take to run
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    name = TextColumn("  {task.description}", markup=False)
    tasks: dict[str, Any] = {}
    with Bars(name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=err) as bars:

        def told(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(what + file, total=total)
            bars.update(tasks[file], completed=done)

        try:
            yield told
        except KeyboardInterrupt:
            err.print("  Stopped. What has arrived stays: the same command goes on from there.")
            raise
