"""What the command prints: tables, problems, and the profile and language that every verb takes.

Exit codes: 0 done, 1 refused (by the exchange, or a receipt or file that is not what it should be),
2 could not be tried (no profile, no exchange, nobody decided in time, wrong usage).

With --json a verb prints one JSON document on stdout and nothing else: for a list an array, for a
refusal its problem document (RFC 9457), for what else went wrong `error` (a code) and `detail`; for
wrong usage nothing. What is said to people goes to stderr.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape

from exchange.cli import why
from exchange.client.errors import (
    CallCut,
    ClientError,
    NotAsPublished,
    NotProved,
    NotReachable,
    Refused,
    ServiceRefused,
)
from exchange.client.profile import read_profile
from exchange.client.session import Session

REFUSED, NOT_TRIED = 1, 2

# Lines are never broken: ids are there to be copied.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, TextIOWrapper):
        _stream.reconfigure(errors="replace")  # a terminal without Chinese must not end a verb

__all__ = [
    "DEFAULT_PROFILE",
    "AsJson",
    "Lang",
    "NotAsPublished",
    "ProfilePath",
    "body_of",
    "err",
    "in_words",
    "out",
    "plain",
    "print_document",
    "print_json",
    "print_list",
    "print_refusal",
    "print_said",
    "print_table",
    "session",
    "visible",
]

# What moves a terminal's cursor, ends a line or turns the direction of what follows.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

ProfilePath = Annotated[
    Path,
    typer.Option("--profile", "-p", envvar="EXCHANGE_PROFILE", help="Who you are: a profile file"),
]
Lang = Annotated[
    Literal["en", "zh"],
    typer.Option(envvar="EXCHANGE_LANG", help="Language of reasons and remedies"),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document (a list: an array; a refusal: why)"),
]
DEFAULT_PROFILE = Path("profile.json")


@contextmanager
def session(profile: Path, lang: str = "en", *, as_json: bool = False) -> Iterator[Session]:
    """Open a session; whatever goes wrong is said in words, with an exit code.

    With `as_json` a refusal is printed as JSON too.
    """
    with in_words(as_json=as_json):
        opened = Session(read_profile(profile), lang)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def in_words(
    no_answer: str = "Is it running? `make run` starts one here.",
    no_file: str = "",
    *,
    as_json: bool = False,
) -> Iterator[None]:
    """Say whatever goes wrong in words, and end with its exit code.

    `no_answer` and `no_file` say what to do where the exchange or a file cannot be reached.
    """
    try:
        yield
    except Refused as refusal:
        print_refusal(refusal)
        if as_json:
            print_json(refusal.document)
        raise typer.Exit(REFUSED) from None
    except ServiceRefused as refusal:
        err.print(f"[red]{plain(f'The service answered {refusal.status}:')}[/]")
        err.print(escape(visible(refusal.text.rstrip()) or "nothing more"))
        if as_json:
            error = {"error": "service_refused", "status": refusal.status}
            print_json({**error, "body": body_of(refusal)})
        raise typer.Exit(REFUSED) from None
    except CallCut as cut:
        err.print(f"[red]{plain(cut.detail)}[/]  [dim]{plain(cut.code)}[/]")
        for each in cut.reasons:
            err.print(f"  ✗ {plain(each.text)}")
        err.print(f"  → {plain(cut.hint)}")
        if as_json:
            print_json({"error": cut.code, "detail": cut.detail, "hint": cut.hint})
        raise typer.Exit(REFUSED) from None
    except (NotAsPublished, NotProved) as error:
        _print_failure(_code(error), str(error), as_json=as_json)
        raise typer.Exit(REFUSED) from None
    except (NotReachable, httpx.HTTPError, httpx.InvalidURL) as error:
        reason = error if isinstance(error, NotReachable) else NotReachable.because(error)
        _print_failure(_code(reason), str(reason), no_answer, as_json=as_json)
        raise typer.Exit(NOT_TRIED) from None
    except ClientError as error:
        _print_failure(_code(error), str(error), as_json=as_json)
        raise typer.Exit(NOT_TRIED) from None
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        said = f"{named}{error.strerror or error}."
        _print_failure("file_problem", said, no_file, as_json=as_json)
        raise typer.Exit(NOT_TRIED) from None


def body_of(answer: Any) -> Any:
    """Return what a service said: its JSON, or its text."""
    try:
        return answer.json()
    except ValueError:
        return answer.text


def _print_failure(code: str, detail: str, advice: str = "", *, as_json: bool) -> None:
    err.print(f"[red]{plain(detail)}[/] {plain(advice)}".rstrip())
    if as_json:
        print_json({"error": code, "detail": detail})


def _code(error: ClientError) -> str:
    """Write an error's kind as a code: NotReachable is not_reachable."""
    return re.sub("(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def print_refusal(refusal: Refused) -> None:
    """Print why something was refused, and what would help."""
    document = refusal.document
    err.print(f"[red]{refusal.status} {plain(refusal.code)}[/]")
    request = document.get("access_request")
    if isinstance(request, dict):
        print_said(err, request)
        return
    detail = document.get("detail") or document.get("error_description")
    if detail:
        err.print(f"  {plain(detail)}")
    grant = document.get("grant")
    for each in why.stopped(grant) if isinstance(grant, dict) else ():
        err.print(f"  ✗ {plain(each)}")
    if document.get("hint"):
        err.print(f"  → {plain(document['hint'])}")
    if refusal.status >= 500 and document.get("request_id"):
        err.print(f"  [dim]request {plain(document['request_id'])}[/]")


def print_said(console: Console, request: dict[str, Any]) -> None:
    """Print reasons (✗) and remedies (→) of a request."""
    for reason in request["reasons"]:
        console.print(f"  ✗ {plain(reason['text'])}  [dim]{plain(reason['code'])}[/]")
    for remedy in request["remedies"]:
        console.print(f"  → {plain(remedy['text'])}  [dim]{plain(remedy['code'])}[/]")


def plain(text: object) -> str:
    """Return what others wrote as one line that a terminal and rich take for nothing but text."""
    return escape(visible(str(text)).replace("\n", " "))


def visible(text: str) -> str:
    r"""Return a text with `\uXXXX` for what a terminal would obey; JSON stays the same JSON."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_json(document: Any) -> None:
    """Print JSON for people and programs alike."""
    typer.echo(visible(json.dumps(document, indent=2, ensure_ascii=False)))


def print_document(document: dict[str, Any], *, as_json: bool) -> None:
    """Print one thing: a line a member for people, or JSON."""
    if as_json:
        print_json(document)
        return
    rows = [(name, _told(value)) for name, value in document.items()]
    print_table(("", ""), [row for row in rows if row[1]])


def _told(value: object) -> str:
    """Write a member's value for people; what is not there is left out."""
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def print_list(
    items: Iterable[dict[str, Any]],
    columns: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[object]],
    *,
    as_json: bool,
) -> None:
    """Print a list: a table for people, its cells by `row`, or the items as one JSON array."""
    if as_json:
        print_json(list(items))
    else:
        print_table(columns, [row(each) for each in items])


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "") -> None:
    """Print a table, cells whole whatever the terminal's width; an empty one says so."""
    if not rows:
        out.print(f"{indent}[dim]none[/]")
        return
    cells = [[visible(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    if any(columns):
        out.print(_row(columns, widths, indent), style="bold")
    for row in cells:
        out.print(_row(row, widths, indent))


def _row(cells: Sequence[str], widths: Sequence[int], indent: str) -> str:
    pairs = zip(cells, widths, strict=True)
    padded = [cell + " " * (width - cell_len(cell)) for cell, width in pairs]
    return escape(indent + "  ".join(padded).rstrip())
