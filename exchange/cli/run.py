"""`exchange run` and `exchange demo`: start the server, play the path, verify with it stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from exchange.cli.demo import is_up, play, verify_offline
from exchange.cli.output import Lang, err, out
from exchange.cli.serve import check_port
from exchange.cli.world import World
from exchange.errors import StartUpError
from exchange.settings import Settings

START_SECONDS = 60
Folder = Annotated[Path, typer.Option(help="Where the sample participants keep their things")]


class Server:
    """An `exchange serve` of our own, started and stopped; its log goes to a file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.log = settings.state_dir / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it is ready; raises StartUpError with what it said."""
        try:
            self._settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            log = self.log.open("ab")
        except OSError as error:
            raise StartUpError(
                f"No permission to write in {self._settings.state_dir} ({error.strerror}). "
                "Choose another folder with EXCHANGE_STATE_DIR, or change its owner."
            ) from error
        check_port(self._settings)
        with log:
            start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "exchange.cli.main", "serve"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not is_up(self._settings.issuer_url):
            if self._process.poll() is not None:
                said = self.log.read_bytes()[start:].decode("utf-8", "replace")
                raise StartUpError(said.strip() or f"The server ended; see {self.log}.")
            if time.monotonic() > deadline:
                self.stop()
                raise StartUpError(f"The server is not ready after a minute; see {self.log}.")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(timeout=30)
        self._process = None

    def wait(self) -> int:
        """Wait until it ends by itself."""
        return self._process.wait() if self._process is not None else 0


def demo(folder: Folder = Path("demo"), lang: Lang = "en") -> None:
    """Play the path: against the exchange that runs here, or one started for it."""
    settings = Settings()
    world = World(folder)
    operator = settings.keys_dir / "operator.json"
    if is_up(settings.issuer_url):
        if not operator.exists():
            err.print(
                f"An exchange runs at {settings.issuer_url}, but its operator's profile is not in "
                f"{operator}. Set EXCHANGE_STATE_DIR to that exchange's state folder."
            )
            raise typer.Exit(2)
        receipts = play(world, operator, lang)
        out.print("\n[bold]The auditor[/] verifies them offline (the server is not asked).")
        verify_offline(receipts, world.log_key)
        return
    _play_on_own(Server(settings), world, operator, lang, go_on=False)


def run(folder: Folder = Path("demo"), lang: Lang = "en") -> None:
    """Start the exchange, play the path against it, and go on serving."""
    settings = Settings()
    operator = settings.keys_dir / "operator.json"
    _play_on_own(Server(settings), World(folder), operator, lang, go_on=True)


def _play_on_own(server: Server, world: World, operator: Path, lang: str, *, go_on: bool) -> None:
    url = Settings().issuer_url
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        out.print(f"Starting the exchange on {url} …")
        server.start()
        receipts = play(world, operator, lang)
        server.stop()
        out.print("\n[bold]The server is stopped.[/] The auditor verifies the receipts offline.")
        verify_offline(receipts, world.log_key)
        if go_on:
            server.start()
            _what_next(url, world, operator, server.log)
            raise typer.Exit(server.wait())
    except StartUpError as error:
        err.print(f"[red]The exchange cannot start.[/]\n{error}", markup=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        out.print("\nStopping.")
    except OSError as error:
        err.print(f"[red]{error.filename or error}: {error.strerror}.[/] Choose another --folder.")
        raise typer.Exit(2) from None
    finally:
        server.stop()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _what_next(url: str, world: World, operator: Path, log: Path) -> None:
    out.print(f"\n[green]The exchange serves on {url}[/]  (Ctrl-C stops it; its log: {log})")
    out.print(f"  {url}/       what runs here (English, 中文)")
    out.print(f"  {url}/docs   every route, with examples")
    out.print("Try next, in another terminal:")
    out.print(f"  curl {url}/healthz")
    out.print(f"  .venv/bin/exchange offering list --profile {world.sme}")
    out.print(f"  .venv/bin/exchange log list --profile {world.auditor}")
    out.print(f"  .venv/bin/exchange org list --profile {operator}")
    out.print(
        f"  .venv/bin/exchange verify {world.receipts}/*.tlog-proof --log-key {world.log_key}"
    )
