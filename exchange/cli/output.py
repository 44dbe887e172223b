"""What the command prints: tables, problems, and the profile and language that every verb takes."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange.cli.profile import ProfileProblem, read_profile
from exchange.cli.session import Refusal, Session

# Lines are never broken, and a pipe gets room for whole ids: they are there to be copied.
PIPE_WIDTH = 240
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)

ProfilePath = Annotated[
    Path,
    typer.Option("--profile", "-p", envvar="EXCHANGE_PROFILE", help="Who you are: a profile file"),
]
Lang = Annotated[
    Literal["en", "zh"],
    typer.Option(envvar="EXCHANGE_LANG", help="Language of reasons and remedies"),
]
DEFAULT_PROFILE = Path("profile.json")


@contextmanager
def session(profile: Path, lang: str = "en") -> Iterator[Session]:
    """Open a session; whatever goes wrong is said in words, with exit code 1."""
    try:
        opened = Session(read_profile(profile), lang)
    except ProfileProblem as error:
        err.print(f"[red]{escape(str(error))}[/]")
        raise typer.Exit(1) from None
    try:
        yield opened
    except Refusal as refusal:
        print_refusal(refusal)
        raise typer.Exit(1) from None
    except httpx.HTTPError as error:
        err.print(
            f"[red]{escape(opened.profile.url)} does not answer ({type(error).__name__}).[/] "
            "Is it running? `make run` starts one here."
        )
        raise typer.Exit(1) from None
    finally:
        opened.close()


def print_refusal(refusal: Refusal) -> None:
    """Print why something was refused, and what would help."""
    document = refusal.document
    code = str(document.get("type", document.get("error", ""))).rsplit(":", 1)[-1]
    err.print(f"[red]{refusal.status} {escape(code)}[/]")
    request = document.get("access_request")
    if isinstance(request, dict):
        print_said(err, request)
        return
    detail = document.get("detail") or document.get("error_description")
    if detail:
        err.print(f"  {escape(str(detail))}")
    if document.get("hint"):
        err.print(f"  → {escape(str(document['hint']))}")


def print_said(console: Console, request: dict[str, Any]) -> None:
    """Print reasons (✗) and remedies (→) of a request."""
    for reason in request["reasons"]:
        console.print(f"  ✗ {escape(reason['text'])}  [dim]{escape(reason['code'])}[/]")
    for remedy in request["remedies"]:
        console.print(f"  → {escape(remedy['text'])}  [dim]{escape(remedy['code'])}[/]")


def print_json(document: Any) -> None:
    """Print JSON for people and programs alike."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; an empty one says so."""
    if not rows:
        out.print("[dim]none[/]")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[escape(str(cell)) for cell in row])
    out.print(table, soft_wrap=False)
