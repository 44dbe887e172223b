"""An exchange with clients in threads of their own, that is killed while they go on.

Clients act again and again while they may; told to pause, each ends what it is about and waits.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

import httpx

from exchange.client.errors import NotReachable
from exchange.client.session import Refusal
from tests.support.ledgers import OwnDatabase, plain
from tests.support.server import ExchangeServer
from tests.support.workers import workers_of


@dataclass
class Figures:
    """What a run of kills came to."""

    kills: int = 0
    workers_killed: int = 0
    answered: int = 0
    cut_off: int = 0  # requests whose answer a kill took
    unavailable: int = 0
    start_seconds: float = 0.0

    def __str__(self) -> str:
        return ", ".join(
            f"{field.name.replace('_', ' ')} {getattr(self, field.name):,.6g}"
            for field in fields(self)
        )


class UnderLoad:
    """One exchange and its clients. `wrong` is what clients met that they never may."""

    def __init__(
        self, database: OwnDatabase, *, workers: int, seed: int | None, **settings: str
    ) -> None:
        self.database, self.workers = database, workers
        self.random = random.Random(seed)
        self.figures = Figures()
        self.wrong: list[str] = []
        self.server = ExchangeServer(
            database.state,
            database_url=plain(database.url),
            workers=workers,
            log_level="warning",
            **settings,
        )
        self._go, self._stop = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._idle: dict[str, threading.Event] = {}

    def open(self) -> None:
        """Start it, and make the world."""
        raise NotImplementedError

    def cycle(self) -> None:
        """Load, a kill, the judgement. Raises AssertionError."""
        raise NotImplementedError

    def end(self) -> None:
        """What is to be seen after the last kill. Raises AssertionError."""

    def close(self) -> None:
        """End the clients and the server."""
        self._stop.set()
        self._go.set()
        for thread in self._threads:
            thread.join(10)
        self.server.stop()

    def go(self) -> None:
        """Let the clients act."""
        self._go.set()

    def pause(self) -> None:
        """Wait until every client has ended what it was about."""
        self._go.clear()
        for name, idle in self._idle.items():
            assert idle.wait(40), f"{name} does not come back"

    def start(self) -> None:
        """Start the exchange again."""
        started = time.monotonic()
        self.server.start()
        self.figures.start_seconds += time.monotonic() - started

    def kill(self) -> None:
        """Kill all of it."""
        self.server.kill()
        self.figures.kills += 1

    def kill_worker(self, pid: int | None = None) -> bool:
        """Kill one worker, any unless one is named; the others go on serving."""
        workers = [pid] if pid else workers_of(self.server)
        if not workers:
            return False
        os.kill(self.random.choice(workers), signal.SIGKILL)
        self.figures.workers_killed += 1
        return True

    def client(self, name: str, act: Callable[[], None]) -> None:
        """Add a client that does this whenever it may."""
        idle = self._idle[name] = threading.Event()

        def run() -> None:
            while not self._stop.is_set():
                if not self._go.is_set():
                    idle.set()
                    self._go.wait()
                    idle.clear()
                    continue
                self._once(name, act)

        idle.set()
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _once(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
            self.figures.answered += 1
        except (NotReachable, httpx.HTTPError):
            self.figures.cut_off += 1
            time.sleep(0.02)
        except Refusal as refusal:
            if refusal.status == 503:
                self.figures.unavailable += 1
            elif refusal.status >= 500 or refusal.status in (401, 404, 422):
                self.wrong.append(f"{name}: {refusal.status} {refusal.document}")
        except Exception as error:  # an answer cut short, or one that is none: said aloud
            self.wrong.append(f"{name}: {error!r}")
