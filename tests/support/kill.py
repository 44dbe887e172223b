"""Kill a real exchange under load, start it again, and hold it to everything it had said.

Clients of several kinds ask over HTTP from threads of their own. At a random moment the server's
process group gets SIGKILL; while it is down everybody waits; started again it is judged: by its
rows (`judge`), by every receipt and checkpoint that anybody had received, and by a consistency
proof from the last checkpoint seen to the new one.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from exchange.client.session import Refusal, Session
from exchange.formats import merkle
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from tests.support import actors, under_load
from tests.support.judge import Judged, judge, signed
from tests.support.ledgers import OwnDatabase
from tests.support.under_load import UnderLoad

PURPOSES = ["compliance", "energy_saving", "logistics_planning", "market_analysis"]


@dataclass
class Figures(under_load.Figures):
    """What a run of kills came to."""

    kills_while_starting: int = 0
    receipts: int = 0
    checkpoints: int = 0
    downloads: int = 0
    entries: int = 0
    grants: int = 0
    revoked: int = 0
    denied: int = 0
    unacknowledged: int = 0  # entries committed whose receipt nobody got


@dataclass
class Heard:
    """What clients were told since the last check."""

    receipts: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)


class KillRun(UnderLoad):
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
        super().__init__(database, workers=workers, seed=seed)
        self.clients = clients
        self._while_starting = while_starting  # how often a restart is killed on its way
        self.figures, self.heard = Figures(), Heard()
        self.verifier: Verifier
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
            self.client(f"sme{number}", self._asker(sme))
        downloader = actors.join(operator, "downloads", ["sme"], actors.SME_ATTRIBUTES)
        self.client("downloader", self._downloader(downloader))
        self.client("platform", self._revoker(platform))
        self.client("operator", self._registrar(operator))
        self.client("auditor", self._watcher())

    def first_start(self) -> None:
        """Kill the first start on its way: the second makes what the first had not."""
        self._start_and_kill()
        self.server.start()
        operator = actors.operator(self.database.state)
        assert len(list(operator.pages("/v1/organisations"))) == 1
        judged = judge(self.database.sql)
        kinds = ["log.opened", "organisation.registered", "client.registered", "policy.activated"]
        assert [event["type"] for event in judged.events] == [f"exchange.{k}.v1" for k in kinds]

    def cycle(self) -> None:
        """Load, a kill, a restart, the judgement. Raises AssertionError."""
        self.go()
        self._until_heard(self.random.randint(0, 12))
        time.sleep(self.random.uniform(0.05, 0.8))
        if self.workers > 1 and self.random.random() < 0.5:
            self.kill_worker()
            time.sleep(self.random.uniform(0.05, 0.4))
        self.kill()
        self.pause()
        if self.random.random() < self._while_starting:
            self._start_and_kill()
        self.start()
        self.check()

    def _until_heard(self, receipts: int) -> None:
        """Wait until so many receipts came since the last kill: a slow machine needs longer."""
        give_up = time.monotonic() + 30
        while len(self.heard.receipts) < receipts and time.monotonic() < give_up:
            time.sleep(0.02)

    def check(self) -> Judged:
        """Judge the exchange, which serves and is idle, by all that it ever said."""
        heard, self.heard = self.heard, Heard()
        assert not self.wrong, self.wrong[:5]
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

    # -- clients

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
