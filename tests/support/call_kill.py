"""Kill workers while calls go through them, and hold what was counted against the service's record.

Callers of several kinds go on through the kills, each under a grant that limits something, renewed
when it is used up: what is safe is tried again, as a call of its own, what is not is let be. Half
of the kills fall at any time; the others when a call has just reached the service, on the worker
that forwarded it.
"""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from exchange.client.session import Refusal, Session
from exchange.formats.note import Verifier
from tests.support import actors, under_load
from tests.support.call_record import ANSWERED_BYTES, RecordingService
from tests.support.judge import Judged, judge, signed
from tests.support.judge_uses import Counted, judge_uses
from tests.support.ledgers import OwnDatabase
from tests.support.under_load import UnderLoad
from tests.support.workers import holder, workers_of

TRIES = 4
PATIENCE_SECONDS = 20.0
MIB = 1 << 20


@dataclass
class Figures(under_load.Figures):
    """What a run came to."""

    kills_of_all: int = 0
    reached: int = 0  # calls that the service wrote down
    uses: int = 0
    not_reached: int = 0  # recorded, and killed before they were sent
    without_end: int = 0  # uses of which a kill took the end
    tried_again: int = 0
    renewed: int = 0
    waited: int = 0  # refusals since too many ran at once
    running: int = 0
    closed_sessions: int = 0


@dataclass(frozen=True)
class Kind:
    """What some callers do: `limits` of their grant, `count` of them, by turns these calls."""

    limits: dict[str, int]
    count: int
    calls: tuple[str, ...]


KINDS = {
    "calls": Kind({"calls": 60}, 2, ("GET /quick", "POST /take")),
    "bytes": Kind({"bytes": 5 * MIB}, 2, ("GET /long",)),
    "concurrent": Kind({"concurrent": 8}, 3, ("GET /long", "GET /quick")),
    "rate": Kind({"calls_per_minute": 100_000, "calls": 1_000_000}, 1, ("GET /quick",)),
}


class CallKills(UnderLoad):
    """One exchange, its callers, and the service that they call."""

    def __init__(
        self, database: OwnDatabase, *, workers: int = 1, seed: int | None = None, **settings: str
    ) -> None:
        super().__init__(database, workers=workers, seed=seed, sweep_seconds="0.5", **settings)
        self.figures = Figures()
        self.service = RecordingService(database.state.parent / "service.record")
        self.answered: list[str] = []  # uses of calls whose answer came whole
        self.grants: dict[str, tuple[Session, str]] = {}
        self._numbers = itertools.count()
        self._seen: dict[str, int] = {}
        self._before = Judged(0, b"", [], [], [])
        self._verifier: Verifier

    def open(self) -> None:
        """Start it, and make the world."""
        self.service.start()
        self.start()
        self._verifier = Verifier.parse(httpx.get(self.server.url + "/log/key").text.strip())
        by = actors.operator(self.database.state)
        platform = actors.join(by, "platform", ["platform"])
        for name, kind in KINDS.items():
            sme = actors.join(by, name, ["sme"], actors.SME_ATTRIBUTES)
            offering = actors.publish_service(
                platform, self.service.url, "GET /*", "POST /*", limits=kind.limits
            )
            grant = actors.ask(sme, offering, actions=["call"])["grant"]["id"]
            self.grants[name] = sme, grant
            for number in range(kind.count):
                self.client(f"{name}{number}", self._caller(sme, grant, kind.calls))

    def close(self) -> None:
        super().close()
        self.service.__exit__()

    def cycle(self) -> None:
        """Load, a kill, load for a moment more, the judgement. Raises AssertionError."""
        self.go()
        peer = self.service.more_calls(self.random.randint(10, 25))
        if self.random.random() < 0.5:
            time.sleep(self.random.uniform(0, 0.3))
            peer = 0
        self._strike(peer)
        if self.server.process is not None:
            self.service.more_calls(self.random.randint(1, 5))
        self.pause()
        if self.server.process is None:
            self.start()
        self.check()

    def check(self) -> Counted:
        """Judge the exchange by the service's record and by all that callers were told."""
        assert not self.wrong, self.wrong[:5]
        shown = httpx.get(self.server.url + "/log/checkpoint", timeout=60).text
        answered, reached = list(self.answered), self.service.reached()
        with self.database.snapshot() as sql:
            judged = judge(sql)
            counted = judge_uses(sql, judged, reached, self._seen)
            self._seen |= dict(sql("SELECT id, reserved_bytes FROM running_uses"))
        _, size, root = signed(shown, self._verifier)
        assert size <= judged.size, "a checkpoint that was shown is ahead of the database"
        assert judged.roots[size] == root, "the log was forked"
        before, self._before = self._before, judged
        assert judged.entries[: before.size] == before.entries, "an entry changed"
        assert {each.use_id for each in reached}.issuperset(answered)
        assert len(answered) == len(set(answered)), "two calls were answered by one use"
        figures = self.figures
        figures.reached, figures.uses = len(reached), len(counted.uses)
        figures.not_reached = len(counted.uses) - len(reached)
        figures.without_end, figures.running = counted.without_end, counted.running
        figures.closed_sessions = counted.closed_sessions
        return counted

    def end(self, *, wait: bool = True) -> None:
        """Stop, start again, and let the leases of the dead run out: what they held comes back.

        Without `wait` their time is over at once, instead of in half a minute.
        """
        self.server.stop()
        self.start()
        self.check()
        last = self.database.sql("SELECT coalesce(max(until_ms), 0) FROM running_uses")[0][0]
        if not wait:
            self.database.sql("UPDATE running_uses SET until_ms = 1")
        give_up = time.monotonic() + 120
        while self.database.sql("SELECT count(*) FROM running_uses") != [(0,)]:
            assert time.monotonic() < give_up, "what the dead held does not come back"
            time.sleep(0.1)
        assert not wait or time.time() * 1000 >= last, "a lease was over before its time"
        counted = self.check()  # counters of what runs are what runs: nothing
        assert counted.running == 0
        for name, (sme, grant) in self.grants.items():
            act, before = self._caller(sme, grant, KINDS[name].calls), len(self.answered)
            for _ in range(5):  # one may be cut off by the last byte
                self._once(name, act)
            # A renewal brings no new allowance before the days that were granted are over.
            assert len(self.answered) > before or is_used_up(sme, grant)
        counted = self.check()
        for sme, grant in self.grants.values():
            own = [use for use in counted.uses if use.grant_id == grant]
            assert sme.get(f"/v1/grants/{grant}/usage")["uses"] == len(own)

    def _strike(self, peer: int) -> None:
        """Kill the worker that holds the service's connection from that port, any for none; or all.

        An exchange of one worker is killed whole.
        """
        if self.workers == 1 or self.random.random() < 0.1:
            self.kill()
            self.figures.kills_of_all += 1
            return
        pids = workers_of(self.server)
        found = holder(pids, peer, self.service.port) if peer else None
        while not self.kill_worker(found):  # the last one has just died too
            time.sleep(0.05)
        self.figures.kills += 1

    # -- callers

    def _caller(self, sme: Session, grant: str, calls: tuple[str, ...]) -> Callable[[], None]:
        mine, turns = Caller(sme, grant), itertools.cycle(calls)

        def act() -> None:
            method, path = next(turns).split()
            answer = self._called(mine, method, path)
            if answer.status_code == 200:
                use_id, _, rest = answer.text.partition("\n")
                whole = len(rest) == ANSWERED_BYTES if path == "/long" else not rest
                assert whole, "an answer cut short was taken for a whole one"
                self.answered.append(use_id if path == "/long" else json.loads(use_id)["use"])
                return
            refusal = Refusal(answer.status_code, answer.json())
            if refusal.code in ("calls_exhausted", "bytes_exhausted"):
                self._renew(mine)
            elif refusal.code == "too_many_at_once":
                self.figures.waited += 1
                time.sleep(0.05)
            elif refusal.code != "grant_changed":  # renewed by another caller
                assert refusal.status == 503, refusal
                raise refusal

        return act

    def _renew(self, mine: "Caller") -> None:
        mine.session.post(f"/v1/grants/{mine.grant}/renew", {"days": 60})
        self.figures.renewed += 1

    def _called(self, mine: "Caller", method: str, path: str) -> httpx.Response:
        """Call once, or, where that is safe, until an answer comes: each time is another call."""
        number = next(self._numbers)
        for attempt in range(1, TRIES):
            try:
                return mine.call(method, f"{path}/{number}.{attempt}")
            except httpx.HTTPError:
                if mine.lacks_bytes():  # cut by the last byte: of that one is not told
                    self._renew(mine)
                if method != "GET" or not self._go.is_set():
                    raise
                self.figures.tried_again += 1
                time.sleep(0.02)
        return mine.call(method, f"{path}/{number}.{TRIES}")


class Caller:
    """Calls under one grant, each by a connection of its own: so that every worker has some."""

    def __init__(self, sme: Session, grant: str) -> None:
        self.session, self.grant = Session(sme.profile), grant
        self._scope, self._url = f"grant:{grant}", f"/gateway/grants/{grant}/call"
        self._http = httpx.Client(
            base_url=sme.profile.url,
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=PATIENCE_SECONDS,
            trust_env=False,
        )

    def call(self, method: str, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.session.token(self._scope)}"}
        content = b"y" * 20_000 if method == "POST" else None
        return self._http.request(method, self._url + path, headers=headers, content=content)

    def lacks_bytes(self) -> bool:
        """Whether its grant counts bytes, and has fewer left than an answer."""
        allowances = self.session.get(f"/v1/grants/{self.grant}/usage")["allowances"]
        left = [each["left"] for each in allowances if each["obligation"] == "bytes"]
        return bool(left) and left[0] < 2 * ANSWERED_BYTES


def is_used_up(sme: Session, grant: str) -> bool:
    """Whether an allowance of the grant is at its end."""
    allowances = sme.get(f"/v1/grants/{grant}/usage")["allowances"]
    least = {"calls": 1, "bytes": 2 * ANSWERED_BYTES}
    return any(each["left"] < least.get(each["obligation"], 0) for each in allowances)
