"""Verbs about offerings."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from exchange.cli.output import (
    DEFAULT_PROFILE,
    ProfilePath,
    err,
    out,
    print_json,
    print_table,
    session,
)
from exchange.cli.session import Session

app = typer.Typer(help="What platforms publish.", no_args_is_help=True)
PIECE = 256 * 1024


def progress() -> Progress:
    """Return a progress bar for bytes, on standard error."""
    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=err,
    )


def upload(platform: Session, path: Path, name: str) -> dict[str, Any]:
    """Upload a file for an offering, with a progress bar; return its size and checksum."""
    size = path.stat().st_size
    with progress() as bar, path.open("rb") as file:
        task = bar.add_task(f"upload {name}", total=size)

        def pieces() -> Iterator[bytes]:
            while piece := file.read(PIECE):
                yield piece
                bar.advance(task, len(piece))

        headers = {"Content-Length": str(size)}
        answer = platform.request("PUT", f"/v1/files/{name}", content=pieces(), headers=headers)
    stored: dict[str, Any] = answer.json()
    return stored


@app.command("publish")
def publish(
    terms: Annotated[Path, typer.Option(help="The offering's terms, a JSON file")],
    file: Annotated[Path | None, typer.Option(help="A dataset's file, uploaded first")] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Upload a dataset's file, write the offering's draft, publish it (platform)."""
    try:
        document = json.loads(terms.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{terms} is no JSON file") from error
    with session(profile) as me:
        if file is not None:
            stored = upload(me, file, file.name)
            document["source"] = {"connector": "files", "path": stored["name"]}
        draft = me.post("/v1/offerings", document)
        offering = me.post(f"/v1/offerings/{draft['id']}/publish")
    out.print(f"{offering['id']} version {offering['version']} published")


@app.command("list")
def list_offerings(profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """List published offerings, and your own in every state."""
    with session(profile) as me:
        rows = [
            (
                o["id"],
                o["kind"],
                o["title_en"],
                o["title_zh"],
                o["status"],
                ", ".join(o["purposes"]),
            )
            for o in me.pages("/v1/offerings")
        ]
    print_table(("id", "kind", "title", "名称", "status", "purposes"), rows)


@app.command("show")
def show(offering: str, profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Show an offering."""
    with session(profile) as me:
        print_json(me.get(f"/v1/offerings/{offering}"))


@app.command("revise")
def revise(
    offering: str,
    terms: Annotated[Path, typer.Option(help="The new terms, a JSON file")],
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Give an offering new terms: a published one gets a new version (platform)."""
    try:
        document = json.loads(terms.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{terms} is no JSON file") from error
    with session(profile) as me:
        print_json(me.put(f"/v1/offerings/{offering}", document))


@app.command("withdraw")
def withdraw(offering: str, profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Withdraw an offering: no new grants (platform)."""
    with session(profile) as me:
        print_json(me.post(f"/v1/offerings/{offering}/withdraw"))
