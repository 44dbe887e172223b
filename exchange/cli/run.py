"""`exchange run` and `exchange demo`: start the server, play the path, verify with it stopped."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer

from exchange.cli.demo import play, verification, verify_offline
from exchange.cli.output import NOT_TRIED, err, in_words, out, plain
from exchange.cli.server import Server, is_up
from exchange.cli.start_up import read_settings, starting
from exchange.cli.using import Service
from exchange.cli.words import Steps, Words
from exchange.cli.world import World

INTERRUPTED = 130
Folder = Annotated[Path, typer.Option(help="Where the sample participants keep their things")]
Lang = Annotated[
    Literal["en", "zh"], typer.Option(envvar="EXCHANGE_LANG", help="Language of what is said")
]


def demo(folder: Folder = Path("demo"), lang: Lang = "en") -> None:
    """Play the path: against the exchange that runs here, or one started for it."""
    with starting():
        settings = read_settings()
    url, world, operator = settings.issuer_url, World(folder), settings.keys_dir / "operator.json"
    service, say = Service(), Words(lang)
    if not is_up(url):
        with closing(service), stopping(Server(settings, service.address), say) as server:
            play_on(server, url, world, operator, say, service)
        return
    if not operator.exists():
        err.print(
            f"An exchange runs at {url}, but its operator's profile is not in {plain(operator)}. "
            "Set EXCHANGE_STATE_DIR to that exchange's state folder."
        )
        raise typer.Exit(NOT_TRIED)
    hint = f"It did at the start: has {url} ended?"
    with closing(service), in_words(no_answer=hint, no_file=elsewhere(world)):
        step = Steps(say)
        play(step, world, operator, url, service)
        step("The auditor", "verifies the receipts offline: the server is not asked.")
        verify_offline(world, say)


def run(folder: Folder = Path("demo"), lang: Lang = "en") -> None:
    """Start the exchange, play the path against it, and go on serving."""
    with starting():
        settings = read_settings()
    url, world, operator = settings.issuer_url, World(folder), settings.keys_dir / "operator.json"
    service, say = Service(), Words(lang)
    with closing(service), stopping(Server(settings, service.address), say) as server:
        play_on(server, url, world, operator, say, service)
        with starting():
            server.start()
        try:
            what_next(url, world, operator, server, say)
            server.wait()
        except KeyboardInterrupt:
            out.print(f"\n{say('Stopping.')}")
            return
        err.print(f"[red]The server ended by itself; see {plain(server.log)}.[/]")
        raise typer.Exit(NOT_TRIED)


@contextmanager
def stopping(server: Server, say: Words) -> Iterator[Server]:
    """Leave no server behind: not after Ctrl-C, not after SIGTERM, not when the terminal closes."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        yield server
    except KeyboardInterrupt:
        out.print(f"\n{say('Stopping.')}")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        server.stop()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def play_on(
    server: Server, url: str, world: World, operator: Path, say: Words, service: Service
) -> None:
    """Start the server, play the path, stop it, and verify without it."""
    out.print(say("Starting the exchange on %(url)s …", url=url))
    with starting():
        server.start()
    hint = f"Is EXCHANGE_ISSUER its address? The server's log is {server.log}."
    with starting(), in_words(no_answer=hint, no_file=elsewhere(world)):
        step = Steps(say)
        play(step, world, operator, url, service)
        server.stop()
        step("The auditor", "verifies the receipts offline: the server is stopped.")
        verify_offline(world, say)


def elsewhere(world: World) -> str:
    """Say what to do where the sample participants' folder cannot be written."""
    return f"Make room in {world.folder} or change its owner, or choose another --folder."


def what_next(url: str, world: World, operator: Path, server: Server, say: Words) -> None:
    """Say where it serves, and what to try."""
    command = ".venv/bin/exchange"
    out.print()
    out.print(
        say(
            "[green]The exchange serves on %(url)s[/]  (Ctrl-C stops it; its log: %(log)s)",
            url=url,
            log=server.log,
        )
    )
    out.print(f"  {url}/       {say('what runs here (English, 中文)')}")
    out.print(f"  {url}/docs   {say('every route, with examples')}")
    out.print(say("Try next, in another terminal:"))
    out.print(f"  curl {url}/healthz")
    out.print(f"  {command} offering list --profile {world.sme}")
    out.print(
        f"  {command} offering search --sandbox --profile {world.sme}, and try what it lists:"
    )
    out.print(f"  {command} try OFFERING --profile {world.sme}")
    out.print(f"  {command} log list --profile {world.auditor}")
    out.print(f"  {command} org list --profile {operator}")
    out.print(f"  {command} {verification(world)}")
