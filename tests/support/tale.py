"""What every story of the stateful test stands on: an exchange, a model, and the judge after each
step."""

import asyncio
import contextlib
import sqlite3
import tempfile
from pathlib import Path

import psycopg
from hypothesis.stateful import RuleBasedStateMachine, invariant

from exchange.clock import now_ms
from exchange.errors import Conflict
from exchange.mounted_gateway import MountedDoor
from tests.support.access_model import Model
from tests.support.desk import open_world
from tests.support.judge import judge
from tests.support.ledgers import OwnDatabase, open_exchange, plain
from tests.support.status_check import StatusCheck


class Tale(RuleBasedStateMachine):
    """One platform with three people, one SME, one operator."""

    kind = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = OwnDatabase(self.kind, Path(self.folder.name) / "state")
        self.loop = asyncio.new_event_loop()
        self.opened = open_exchange(self.database)
        self.parts = self.run(self.opened.__aenter__())
        self.world = self.run(open_world(self.parts))
        platform = self.world.platform.org_id
        self.people = [self.run(self.world.member(platform, "approver")) for _ in range(3)]
        self.door = MountedDoor(self.parts.desk, self.parts.watchers, 15)
        self.model = Model(self.world.sme.org_id, platform)
        self.ended: set[str] = set()
        self.statuses = StatusCheck(self.parts, platform)
        self.leaves = 0
        self.reader = self.connected()

    def run(self, work):
        return self.loop.run_until_complete(work)

    def connected(self):
        """One connection for all that is asked from outside: the judge asks much."""
        if self.kind == "sqlite":
            return sqlite3.connect(self.database.file, isolation_level=None)
        return psycopg.connect(plain(self.database.url), autocommit=True)

    def sql(self, statement: str) -> list[tuple]:
        return self.reader.execute(statement).fetchall()

    def teardown(self) -> None:
        self.reader.close()
        self.run(self.opened.__aexit__(None, None, None))
        self.loop.close()
        self.database.remove()
        self.folder.cleanup()

    def refused(self, work) -> bool:
        """Whether an act was refused because the state does not allow it."""
        with contextlib.suppress(Conflict):
            self.run(work)
            return False
        return True

    def offering(self, n: int):
        return self.model.offerings[n % len(self.model.offerings)]

    def request(self, n: int):
        """The n-th newest request."""
        return list(self.model.requests.values())[-1 - n % len(self.model.requests)]

    def grant(self, n: int):
        """The n-th newest grant."""
        return list(self.model.grants.values())[-1 - n % len(self.model.grants)]

    @invariant()
    def rows_and_leaves_and_model_agree(self):
        model = self.model
        rows = self.sql("SELECT id, status, waits_for FROM access_requests")
        assert {row[0]: row[1:] for row in rows} == {
            request.id: (request.status, request.waits_for) for request in model.requests.values()
        }
        still_open = self.sql("SELECT id, target_id FROM holds WHERE lifted_ms IS NULL")
        assert dict(still_open) == {hold.id: hold.target for hold in model.holds.values()}
        found = []
        for grant in model.grants.values():
            held = self.run(self.parts.store.grant(grant.id))
            found.append(held)
            assert held.state(now_ms()) == model.counts_as(grant)
            assert held.offering_version == grant.version
            assert held.ends_ms >= grant.ends_ms or grant.id in self.ended
            grant.ends_ms = held.ends_ms  # never earlier again
        self.run(self.statuses.check(found))
        judged = judge(self.sql, moved_ends=self.ended)
        assert judged.size >= self.leaves
        self.leaves = judged.size
