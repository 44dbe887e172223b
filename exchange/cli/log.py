"""Verbs about the log: list it, fetch receipts, and verify them with no network at all."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from exchange.cli.output import DEFAULT_PROFILE, ProfilePath, err, out, print_table, session
from exchange.formats import receipt as receipts
from exchange.formats.errors import FormatError
from exchange.formats.note import Verifier
from exchange.formats.receipt import ReceiptRefused, Verified

app = typer.Typer(help="The audit log.", no_args_is_help=True)
SUFFIX = ".tlog-proof"


@app.command("list")
def log_list(
    start: Annotated[int, typer.Option(min=0, help="From this index on")] = 0,
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """List the log's entries (auditor, operator)."""
    with session(profile) as me:
        rows = [
            (leaf["index"], leaf["time"], leaf["type"].removeprefix("exchange."), leaf["subject"])
            for leaf in me.pages("/v1/log/entries", start=start)
        ]
    print_table(("index", "time", "type", "subject"), rows)


@app.command("key")
def log_key(profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Print the log's verifier key, to be kept for `exchange verify`.

    Get it from somebody you trust before you need it: a server that is judged may not choose it.
    """
    with session(profile) as me:
        typer.echo(me.http.get("/log/key").text.strip())


@app.command("checkpoint")
def log_checkpoint(profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Print the newest signed checkpoint."""
    with session(profile) as me:
        typer.echo(me.http.get("/log/checkpoint").text, nl=False)


@app.command("receipts")
def log_receipts(
    folder: Path,
    event: Annotated[list[str] | None, typer.Option(help="These events only")] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Fetch receipts into a folder: of all entries (auditor), or of events you are a party of."""
    folder.mkdir(parents=True, exist_ok=True)
    with session(profile) as me:
        wanted = event or [leaf["event_id"] for leaf in me.pages("/v1/log/entries")]
        for event_id in wanted:
            text = me.request("GET", f"/v1/receipts/{event_id}").text
            (folder / f"{event_id}{SUFFIX}").write_text(text, "utf-8")
    out.print(f"{len(wanted)} receipts in {folder}")


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
) -> None:
    """Verify receipts with no network and no exchange.

    Proves that the log holds the entry; not that a grant is still in force, nor, without
    witnesses, that no second log exists.
    """
    verifier = _read_key(log_key)
    witnesses = [_read_key(key) for key in witness or []]
    refused = 0
    for path in files:
        try:
            proof = receipts.parse(path.read_bytes())
            verified = receipts.verify(proof, verifier, witnesses)
        except OSError as error:
            refused += 1
            err.print(f"[red]✗ {escape(str(path))}[/]: cannot be read ({error.strerror})")
        except ReceiptRefused as refusal:
            refused += 1
            err.print(f"[red]✗ {escape(str(path))}[/]: {escape(refusal.detail)}")
        else:
            _print_verified(path, verified, quiet=quiet)
    total = len(files)
    if refused:
        err.print(f"[red]{refused} of {total} receipts refused[/]")
        raise typer.Exit(1)
    out.print(f"[green]✓ {total} of {total} receipts verified[/], log {escape(verifier.name)}")
    out.print(
        "[dim]Proved: this log holds these entries. Not proved: that a grant is still in force; "
        "without witnesses, that no second log exists.[/]"
    )


def _read_key(text: str) -> Verifier:
    """Read a verifier key, given as text or as a file that holds it."""
    path = Path(text)
    try:
        if "+" not in text or path.exists():
            text = path.read_text("utf-8")
        return Verifier.parse(text.strip())
    except (OSError, UnicodeDecodeError, FormatError) as error:
        raise typer.BadParameter(f"no verifier key: {error}") from error


def _print_verified(path: Path, verified: Verified, *, quiet: bool) -> None:
    event, size = verified.event, verified.checkpoint.size
    out.print(f"[green]✓[/] {escape(str(path))}  [dim]entry {verified.index} of {size}[/]")
    if quiet:
        return
    kind = str(event.get("type", "")).removeprefix("exchange.")
    out.print(f"  {escape(kind)} {escape(str(event.get('subject', '')))}")
    out.print(f"  at {escape(str(event.get('time', '')))}")
    out.print(escape(json.dumps(event.get("data"), indent=2, ensure_ascii=False)), style="dim")
    count = f"{len(verified.witnesses)} of {verified.witnesses_known}"
    out.print(f"  signed by the log; witnessed by {count}")
