"""Kill a real exchange under load, start it again, and hold it to everything it had said.

Clients of several kinds ask over HTTP from threads of their own. At a random moment the server's
process group gets SIGKILL; while it is down everybody waits; started again it is judged: by its
rows (`judge`), by every receipt and checkpoint that anybody had received, and by a consistency
proof from the last checkpoint seen to the new one.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

import httpx

from exchange.client.errors import NotReachable
from exchange.client.session import Refusal, Session
from exchange.formats import merkle
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from tests.support import actors
from tests.support.judge import Judged, judge, signed
from tests.support.ledgers import OwnDatabase, plain
from tests.support.server import ExchangeServer

PURPOSES = ["compliance", "energy_saving", "logistics_planning", "market_analysis"]


@dataclass
class Figures:
    """What a run of kills came to."""

    kills: int = 0
    kills_while_starting: int = 0
    workers_killed: int = 0
    answered: int = 0
    cut_off: int = 0  # requests whose answer a kill took
    unavailable: int = 0
    receipts: int = 0
    checkpoints: int = 0
    downloads: int = 0
    entries: int = 0
    grants: int = 0
    revoked: int = 0
    denied: int = 0
    unacknowledged: int = 0  # entries committed whose receipt nobody got
    start_seconds: float = 0.0

    def __str__(self) -> str:
        return ", ".join(
            f"{field.name.replace('_', ' ')} {getattr(self, field.name):,.6g}"
            for field in fields(self)
        )


@dataclass
class Heard:
    """What clients were told since the last check, and what else they met."""

    receipts: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class KillRun:
    """One exchange that is killed again and again."""

    def __init__(
        self,
        database: OwnDatabase,
        *,
        workers: int = 1,
        clients: int = 4,
        seed: int | None = None,
        while_starting: float = 0.2,
    ) -> None:
        self.database, self.workers, self.clients = database, workers, clients
        self._while_starting = while_starting  # how often a restart is killed on its way
        self.random = random.Random(seed)
        self.figures, self.heard = Figures(), Heard()
        self.server = ExchangeServer(
            database.state, database_url=plain(database.url), workers=workers, log_level="warning"
        )
        self.verifier: Verifier
        self._go, self._stop = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._idle: dict[str, threading.Event] = {}
        self._before = Judged(0, b"", [], [], [])
        self._last_seen: tuple[int, bytes] | None = None

    def open(self) -> None:
        """Make the world; the very first start is killed once on its way."""
        self.first_start()
        self.verifier = Verifier.parse(httpx.get(self.server.url + "/log/key").text.strip())
        operator = actors.operator(self.database.state)
        platform = actors.join(operator, "platform", ["platform"])
        self._offerings = [
            actors.publish(platform, b"data" * 50, purposes=PURPOSES)["id"] for _ in range(3)
        ]
        for number in range(self.clients):
            sme = actors.join(operator, f"sme{number}", ["sme"], actors.SME_ATTRIBUTES)
            self._client(f"sme{number}", self._asker(sme))
        downloader = actors.join(operator, "downloads", ["sme"], actors.SME_ATTRIBUTES)
        self._client("downloader", self._downloader(downloader))
        self._client("platform", self._revoker(platform))
        self._client("operator", self._registrar(operator))
        self._client("auditor", self._watcher())

    def first_start(self) -> None:
        """Kill the first start on its way: the second makes what the first had not."""
        self._start_and_kill()
        self.server.start()
        operator = actors.operator(self.database.state)
        assert len(list(operator.pages("/v1/organisations"))) == 1
        judged = judge(self.database.sql)
        kinds = ["log.opened", "organisation.registered", "client.registered", "policy.activated"]
        assert [event["type"] for event in judged.events] == [f"exchange.{k}.v1" for k in kinds]

    def close(self) -> None:
        """End the clients and the server."""
        self._stop.set()
        self._go.set()
        for thread in self._threads:
            thread.join(10)
        self.server.stop()

    def cycle(self) -> None:
        """Load, a kill, a restart, the judgement. Raises AssertionError."""
        self._go.set()
        time.sleep(self.random.uniform(0.05, 0.8))
        if self.workers > 1 and self.random.random() < 0.5:
            self._kill_one_worker()
            time.sleep(self.random.uniform(0.05, 0.4))
        self.server.kill()
        self.figures.kills += 1
        self._go.clear()
        for name, idle in self._idle.items():
            assert idle.wait(40), f"{name} does not come back"
        if self.random.random() < self._while_starting:
            self._start_and_kill()
        started = time.monotonic()
        self.server.start()
        self.figures.start_seconds += time.monotonic() - started
        self.check()

    def check(self) -> Judged:
        """Judge the exchange, which serves and is idle, by all that it ever said."""
        heard, self.heard = self.heard, Heard()
        assert not heard.wrong, heard.wrong[:5]
        shown = httpx.get(self.server.url + "/log/checkpoint").text
        judged = judge(self.database.sql)
        assert signed(shown, self.verifier) == (
            self.verifier.name,
            judged.size,
            judged.root,
        )
        before = self._before
        assert judged.entries[: before.size] == before.entries, "an entry changed"
        acknowledged = set()
        for text in heard.receipts:
            verified = receipts.verify(receipts.parse(text), self.verifier)
            assert judged.entries[verified.index] == verified.entry
            assert judged.roots[verified.checkpoint.size] == verified.checkpoint.root
            acknowledged.add(verified.index)
        seen = [self._last_seen] if self._last_seen else []
        for note in heard.checkpoints:
            _, size, root = signed(note, self.verifier)
            assert size <= judged.size, "a checkpoint that was shown is ahead of the database"
            assert judged.roots[size] == root, "the log was forked"
            seen.append((size, root))
        active = {row[0] for row in self.database.sql("SELECT id FROM grants")}
        assert active.issuperset(heard.grants), "a grant that was given is gone"
        assert self.figures.downloads <= len(self.database.sql("SELECT id FROM uses"))
        if seen:
            self._prove_consistency(max(seen), judged)
        self._last_seen, self._before = (judged.size, judged.root), judged
        self._count(heard, judged, before.size, acknowledged)
        return judged

    def _prove_consistency(self, old: tuple[int, bytes], judged: Judged) -> None:
        leaves = [merkle.leaf_hash(entry) for entry in judged.entries]
        tree = merkle.Extension(0, [], leaves)
        proof = merkle.consistency_proof(old[0], judged.size, tree.node)
        merkle.verify_consistency(old[0], judged.size, old[1], judged.root, proof)

    def _count(self, heard: Heard, judged: Judged, old_size: int, acknowledged: set) -> None:
        figures = self.figures
        figures.receipts += len(heard.receipts)
        figures.checkpoints += len(heard.checkpoints)
        figures.entries = judged.size
        figures.grants = judged.count("grant.activated.v1")
        figures.revoked = judged.count("grant.revoked.v2")
        figures.denied = judged.count("decision.denied.v1")
        with_receipt = ("grant.activated.v1", "grant.revoked.v2", "decision.denied.v1")
        figures.unacknowledged += sum(
            index not in acknowledged and event["type"].removeprefix("exchange.") in with_receipt
            for index, event in enumerate(judged.events[old_size:], old_size)
        )

    # -- killing

    def _start_and_kill(self) -> None:
        """Kill it at a random moment of its start."""
        starting = threading.Thread(target=self._try_to_start)
        starting.start()
        time.sleep(self.random.uniform(0.2, 2.5 + self.workers))
        self.server.kill()
        starting.join()
        self.figures.kills_while_starting += 1

    def _try_to_start(self) -> None:
        try:
            self.server.start()
        except (RuntimeError, AttributeError):
            return  # it was killed on its way, as was meant

    def _kill_one_worker(self) -> None:
        """One worker dies, the others go on serving."""
        assert self.server.process
        parent = self.server.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        workers = [
            pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        if workers:
            os.kill(int(self.random.choice(workers)), signal.SIGKILL)
            self.figures.workers_killed += 1

    # -- clients

    def _client(self, name: str, act: Callable[[], None]) -> None:
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
                self.heard.wrong.append(f"{name}: {refusal.status} {refusal.document}")
        except Exception as error:  # an answer cut short, or one that is none: said aloud
            self.heard.wrong.append(f"{name}: {error!r}")

    def _asker(self, sme: Session) -> Callable[[], None]:
        chance = random.Random(self.random.random())

        def act() -> None:
            offering = {"id": chance.choice(self._offerings)}
            days = chance.choice([30, 30, chance.randint(91, 10**6)])  # above 90: denied
            try:
                answer = actors.ask(sme, offering, chance.choice(PURPOSES), days)
            except Refusal as refusal:
                if refusal.status != 403:
                    raise
                answer = refusal.document["access_request"]
            self.heard.receipts.append(answer["receipt"])
            if answer["grant"]:
                self.heard.grants.append(answer["grant"]["id"])

        return act

    def _downloader(self, sme: Session) -> Callable[[], None]:
        chance = random.Random(self.random.random())

        def act() -> None:
            answer = actors.ask(sme, {"id": chance.choice(self._offerings)})
            self.heard.receipts.append(answer["receipt"])
            grant = answer["grant"]["id"]
            response = sme.request(
                "GET", f"/gateway/grants/{grant}/files/data.bin", scope=f"grant:{grant}"
            )
            assert response.content == b"data" * 50
            self.figures.downloads += 1

        return act

    def _revoker(self, platform: Session) -> Callable[[], None]:
        chance = random.Random(self.random.random())

        def act() -> None:
            grants = platform.get("/v1/grants", limit=100)["items"]
            active = [grant["id"] for grant in grants if grant["status"] == "active"]
            for grant_id in chance.sample(active, min(3, len(active))):
                answer = platform.post(f"/v1/grants/{grant_id}/revoke", {})
                if answer["receipt"]:
                    self.heard.receipts.append(answer["receipt"])

        return act

    def _registrar(self, operator: Session) -> Callable[[], None]:
        def act() -> None:
            actors.join(operator, "newcomer", ["sme"], {"jurisdiction": "CN"})
            time.sleep(0.05)

        return act

    def _watcher(self) -> Callable[[], None]:
        http = httpx.Client(base_url=self.server.url)

        def act() -> None:
            response = http.get("/log/checkpoint")
            if response.is_success:
                self.heard.checkpoints.append(response.text)
            time.sleep(0.01)

        return act
