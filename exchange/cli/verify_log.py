"""The whole log verified, entry by entry, with what is told of it on the way and in the end."""

from pathlib import Path

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from exchange.auditing.edge import Edge
from exchange.auditing.state import State, StateUnusable, keep_state, read_state
from exchange.auditing.walk_log import LogFault, Walked, walk
from exchange.cli.output import REFUSED, err, out, plain, print_json, session
from exchange.cli.verify import read_key
from exchange.cli.words import ENGLISH, Words
from exchange.client.errors import ProfileProblem
from exchange.client.session import Refusal, Session


def verify_log(
    profile: Path,
    state: Path | None,
    log_key: str = "",
    *,
    again: bool = False,
    as_json: bool = False,
    say: Words = ENGLISH,
) -> None:
    """Verify the whole log of an auditor's exchange; exits with 1 where it is not what it was."""
    path = state or profile.with_name(f"{profile.name}.log-state")
    with session(profile, as_json=as_json) as me:
        verifier = read_key(log_key or me.profile.log_key or _no_key())
        try:
            held = read_state(path, verifier.vkey)
        except StateUnusable as error:
            raise ProfileProblem(str(error)) from None
        if again:
            held.edge, held.base = Edge(), ()
        with _bar() as bar:
            task = bar.add_task(say("entries"), total=None)

            def told(at: int, size: int) -> None:
                bar.update(task, completed=at, total=size)

            def keep(now: State) -> None:
                keep_state(path, now)

            try:
                walked = walk(lambda what: _fetch(me, what), verifier, held, keep, told)
            except LogFault as fault:
                bar.stop()
                _print_fault(fault, path, as_json=as_json)
                raise typer.Exit(REFUSED) from None
        _print_walked(walked, path, say, as_json=as_json)


def _no_key() -> str:
    raise ProfileProblem(
        "Which log? Give --log-key, or set EXCHANGE_LOG_KEY: the verifier key that you got "
        "from somebody you trust. An exchange that is judged may not choose it."
    )


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
    )


def _fetch(me: Session, path: str) -> bytes | None:
    try:
        return me.request("GET", "/" + path).content
    except Refusal as refusal:
        if refusal.status == 404:
            return None
        raise


def _print_fault(fault: LogFault, state: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"verified": False, "code": fault.code, "detail": fault.detail})
    err.print(f"[red]✗ {plain(fault.code)}[/]: {plain(fault.detail)}")
    err.print(f"  → {plain(fault.advice)}")
    err.print(f"  [dim]state: {plain(state)}[/]")
    if fault.note:
        refused = state.with_name(f"{state.name}.refused")
        refused.write_text(fault.note, "utf-8")
        err.print(f"  [dim]the checkpoint that contradicts it: {plain(refused)}[/]")


def _print_walked(walked: Walked, state: Path, say: Words, *, as_json: bool) -> None:
    now = walked.checkpoint
    if as_json:
        print_json(
            {
                "verified": True,
                "origin": now.origin,
                "size": now.size,
                "root": now.root.hex(),
                "entries_read": walked.read,
                "tiles_compared": walked.tiles,
                "consistent_with_size": walked.before,
            }
        )
        return
    out.print(
        say(
            "[green]✓ %(size)s entries verified[/], log %(log)s, root %(root)s",
            size=now.size,
            log=now.origin,
            root=now.root.hex(),
        )
    )
    read, tiles = walked.read, walked.tiles
    say.line("%(read)s read now, %(tiles)s tiles compared", read=read, tiles=tiles)
    if walked.before is not None:
        before = walked.before
        say.line("it only grew since %(before)s entries were verified before", before=before)
    say.line("[dim]remembered in %(path)s: keep it for the next time[/]", path=state)
