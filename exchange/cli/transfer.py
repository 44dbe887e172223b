"""Files to and from the exchange: with a progress bar, whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from exchange.cli.output import NotAsPublished, err
from exchange.client.session import Session

PIECE = 256 * 1024
File = dict[str, Any]


def upload(platform: Session, path: Path, name: str) -> File:
    """Upload a file for an offering; return its name, size and checksum as the exchange has them.

    Raises NotAsPublished when what is stored is not what was read.
    """
    size, digest = path.stat().st_size, hashlib.sha256()
    with _progress() as bar, path.open("rb") as file:
        task = bar.add_task(f"upload {name}", total=size)

        def pieces() -> Iterator[bytes]:
            while piece := file.read(PIECE):
                digest.update(piece)
                yield piece
                bar.advance(task, len(piece))

        headers = {"Content-Length": str(size)}
        answer = platform.request(
            "PUT", f"/v1/files/{quote(name, safe='')}", content=pieces(), headers=headers
        )
    stored: File = answer.json()
    if stored["sha256"] != digest.hexdigest():
        raise NotAsPublished(
            f"{path}: the exchange stored other bytes than were sent (sha256 {stored['sha256']}, "
            f"sent {digest.hexdigest()})."
        )
    return stored


def download(sme: Session, grant: str, folder: Path) -> list[tuple[Path, File]]:
    """Download every file of a grant; each appears under its name when its checksum is right.

    Raises NotAsPublished; then, as after any error, nothing of that file is kept.
    """
    scope = f"grant:{grant}"
    listed = sme.get(f"/gateway/grants/{grant}", scope=scope)["objects"]
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    with _progress() as bar:
        for item in listed:
            path = _inside(folder, item["name"])
            _fetch(sme, scope, item, path, bar)
            done.append((path, item))
    return done


def _progress() -> Any:
    # rich.progress takes as long to import as half the verbs take to run
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    name = TextColumn("  {task.description}", markup=False)
    return Progress(name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=err)


def _inside(folder: Path, name: str) -> Path:
    """Return where a file goes; a name that leads out of the folder is refused."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise NotAsPublished(f"The name {name!r} leads out of the folder. Nothing was kept.")
    path = folder.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(folder.resolve()):  # a link in the folder
        raise NotAsPublished(f"The name {name!r} leads out of the folder. Nothing was kept.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _fetch(sme: Session, scope: str, item: File, path: Path, bar: Any) -> None:
    task = bar.add_task(item["name"], total=item["bytes"])
    partial = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    try:
        with sme.stream(item["url"], scope=scope) as response, partial.open("wb") as file:
            for piece in response.iter_raw():
                digest.update(piece)
                file.write(piece)
                bar.advance(task, len(piece))
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != item["sha256"]:
            raise NotAsPublished(
                f"{item['name']}: what arrived is not what was published (sha256 "
                f"{digest.hexdigest()}, published {item['sha256']}). Nothing was kept."
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
