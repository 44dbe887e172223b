"""`exchange verify`: judge receipts with no network, no exchange and no state."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.cli.output import REFUSED, AsJson, err, out, plain, print_json
from exchange.cli.words import ENGLISH, Words
from exchange.clock import rfc3339
from exchange.formats import receipt as receipts
from exchange.formats.errors import FormatError
from exchange.formats.note import Verifier
from exchange.formats.receipt import ReceiptRefused, Verified

YEAR_9999_MS = 253_370_764_800_000


def verify(
    files: Annotated[list[Path], typer.Argument(help="Receipts (.tlog-proof)")],
    log_key: Annotated[
        str,
        typer.Option(envvar="EXCHANGE_LOG_KEY", help="The log's verifier key, or a file with it"),
    ],
    witness: Annotated[
        list[str] | None, typer.Option(help="A witness's verifier key, or a file; again for more")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line a receipt")] = False,
    as_json: AsJson = False,
) -> None:
    """Verify receipts with no network and no exchange. Exit code 1 when any is refused.

    Proves that the log holds the entry.

    Does not prove that a grant is still in force nor, without witnesses, that no second log exists.
    """
    verifier = read_key(log_key)
    witnesses = [read_key(key) for key in witness or []]
    refused = 0
    if as_json:
        print_json(told := [_told(*each) for each in check(files, verifier, witnesses)])
        if not all(each["verified"] for each in told):
            raise typer.Exit(REFUSED)
        return
    for path, verdict in check(files, verifier, witnesses):
        if isinstance(verdict, str):
            refused += 1
            print_refused(path, verdict)
        else:
            _print_verified(path, verdict, quiet=quiet)
    print_total(len(files), refused, verifier)


def check(
    files: Iterable[Path], verifier: Verifier, witnesses: Sequence[Verifier] = ()
) -> Iterator[tuple[Path, Verified | str]]:
    """Judge each file: what it proves, or why it is refused."""
    for path in files:
        try:
            with path.open("rb") as file:
                data = file.read(receipts.MAX_BYTES + 1)
            yield path, receipts.verify(receipts.parse(data), verifier, witnesses)
        except OSError as error:
            yield path, f"cannot be read ({error.strerror})"
        except ReceiptRefused as refusal:
            yield path, refusal.detail


def read_key(text: str) -> Verifier:
    """Read a verifier key, given as text or as a file that holds it."""
    path = Path(text)
    try:
        if "+" not in text or path.exists():
            text = path.read_text("utf-8")
        return Verifier.parse(text.strip())
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, FormatError) as error:
        raise typer.BadParameter(f"no verifier key: {error}") from error


def print_refused(path: Path, why: str) -> None:
    """Say that a receipt proves nothing, and why."""
    err.print(f"[red]✗ {plain(path)}[/]: {plain(why)}")


def print_total(total: int, refused: int, verifier: Verifier, say: Words = ENGLISH) -> None:
    """Say what all of it proves, and what it does not; exits with 1 when any was refused."""
    if refused:
        err.print(f"[red]{refused} of {total} receipts refused[/]")
        raise typer.Exit(REFUSED)
    out.print(
        say(
            "[green]✓ %(total)s of %(total)s receipts verified[/], log %(log)s",
            total=total,
            log=verifier.name,
        )
    )
    out.print(
        say(
            "[dim]Proved: this log holds these entries. Not proved: that a grant is still in "
            "force; without witnesses, that no second log exists.[/]"
        )
    )


def _told(path: Path, verdict: Verified | str) -> dict[str, Any]:
    """Return a verdict for programs."""
    if isinstance(verdict, str):
        return {"file": str(path), "verified": False, "detail": verdict}
    return {
        "file": str(path),
        "verified": True,
        "log": verdict.checkpoint.origin,
        "index": verdict.index,
        "size": verdict.checkpoint.size,
        "witnesses": [each.name for each in verdict.witnesses],
        "witnesses_known": verdict.witnesses_known,
        "event": verdict.event,
    }


def _print_verified(path: Path, verified: Verified, *, quiet: bool) -> None:
    event, size = verified.event, verified.checkpoint.size
    place = f"entry {verified.index} of {size}"
    kind = str(event.get("type", "")).removeprefix("exchange.")
    if quiet:
        out.print(f"[green]✓[/] {plain(path)}  [dim]{place}: {plain(kind)}[/]")
        return
    out.print(f"[green]✓[/] {plain(path)}")
    signatures = f"witnessed by {len(verified.witnesses)} of {verified.witnesses_known}"
    if verified.unknown:
        signatures += f"; {len(verified.unknown)} signatures by keys that you did not name"
    data = event.get("data")
    told: list[tuple[str, object]] = [
        ("what", f"{kind} {event.get('subject', '')}"),
        ("when", event.get("time", "")),
        ("where", f"{place}, log {verified.checkpoint.origin}"),
        ("signed", f"by the log; {signatures}"),
        *(data.items() if isinstance(data, dict) else [("data", data)]),
    ]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        out.print(f"  [dim]{plain(name.ljust(width))}[/]  {plain(_readable(name, value))}")


def _readable(name: str, value: object) -> str:
    """Write a member of an entry for people: text as it is, milliseconds with their date."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    if name.endswith("_ms") and isinstance(value, int) and 0 <= value < YEAR_9999_MS:
        return f"{text} ({rfc3339(value)})"
    return text
