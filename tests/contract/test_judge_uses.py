"""The judge of uses is itself judged, on both databases: what is whole passes, damage is seen."""

import pytest

from exchange.access.allowance import UseOf
from exchange.access.close_sessions import close_sessions
from exchange.access.record_use import record_use
from exchange.access.running import end_lost_uses, end_use, extend_use
from exchange.access.store import RUNNING, SESSIONS
from exchange.clock import now_ms
from exchange.ledger.write import Update, Write
from tests.support.call_record import Reached
from tests.support.desk import open_world
from tests.support.judge import judge
from tests.support.judge_uses import COLUMNS, judge_uses

FILE = UseOf("data.bin", "ab" * 32, "GET", 0, 99)
LIMITS = {"calls": 5, "calls_per_minute": 1000, "bytes": 1000, "concurrent": 3}


def call(name, version="cd"):
    return UseOf(f"GET /{name}", version * 32, "GET", -1, -1)


class Used:
    """A grant that counts everything: calls that ended, that run, and that were lost; files."""

    def __init__(self, database, world):
        self.database, self.world, self.seen = database, world, {}

    async def happen(self):
        world = self.world
        world.offering = await world.publish(limits=LIMITS, max_sessions=4)
        self.grant = (await world.ask()).grant
        self.ended = await self.use(call("ended"))
        await extend_use(world.parts.store, self.ended, 49)
        await end_use(world.parts.store, self.ended, 30, complete=True)
        self.lost = await self.use(call("lost"))
        await extend_use(world.parts.store, self.lost, 20)
        self.seen = dict(self.database.sql("SELECT id, reserved_bytes FROM running_uses"))
        await self.move(RUNNING, self.lost, until_ms=1)
        assert await end_lost_uses(world.parts.store) == 1
        self.file = await self.use(FILE)
        await end_use(world.parts.store, self.file, 60, complete=False)
        for (session_id,) in self.database.sql("SELECT id FROM sessions"):
            await self.move(SESSIONS, session_id, expires_ms=now_ms())
        assert await close_sessions(world.parts.ledger) == 2
        self.runs = await self.use(call("runs", "ef"))  # another session's
        self.reached = [
            Reached(use_id, self.grant.id, f"GET /{name}")
            for name, use_id in (("ended", self.ended), ("lost", self.lost), ("runs", self.runs))
        ]

    async def use(self, what):
        client = await self.world.parts.participants.client(self.grant.client_id)
        return await record_use(self.world.parts.desk, self.grant, client, what, 15)

    async def move(self, table, row_id, **values):
        query = table.select().where(table.c.id == row_id)
        row = await self.world.parts.db.read(lambda c: c.execute(query).one())
        await self.world.parts.ledger.commit(
            Write(updates=[Update(table, row_id, row.rev, values)])
        )

    def judge(self, damage=""):
        """Judge it, damaged for the time being."""
        names = {"ended": self.ended, "lost": self.lost, "file": self.file, "runs": self.runs}
        columns = ", ".join(name for name in COLUMNS if name != "id")
        with self.database.snapshot() as sql:
            if damage:
                sql(damage.format(**names, grant=self.grant.id, columns=columns))
            return judge_uses(sql, judge(sql), self.reached, self.seen)


@pytest.fixture
async def used(database, exchange):
    made = Used(database, await open_world(exchange))
    await made.happen()
    return made


DAMAGES = {
    "a row removed": "DELETE FROM uses WHERE id = '{runs}'",
    "a row removed of a closed session": "DELETE FROM uses WHERE id = '{ended}'",
    "a row doubled": (
        "INSERT INTO uses (id, {columns}) SELECT 'use_again', {columns} FROM uses "
        "WHERE id = '{runs}'"
    ),
    "another call": "UPDATE uses SET target = 'GET /other' WHERE id = '{runs}'",
    "another moment": "UPDATE uses SET at_ms = at_ms + 1 WHERE id = '{file}'",
    "an end removed": "DELETE FROM use_ends WHERE use_id = '{file}'",
    "an end too long": "UPDATE use_ends SET sent_bytes = 31 WHERE use_id = '{ended}'",
    "an end of nothing": "UPDATE use_ends SET use_id = 'use_other' WHERE use_id = '{ended}'",
    "a lease that came back": "UPDATE running_uses SET id = '{ended}'",
    "a lease removed": "DELETE FROM running_uses",
    "a call not counted": "UPDATE counters SET value = value - 1 WHERE key = 'calls:{grant}'",
    "a byte too many": "UPDATE counters SET value = value + 1 WHERE key = 'bytes:{grant}'",
    "what runs counted twice": (
        "UPDATE counters SET value = value + 1 WHERE key = 'concurrent:{grant}'"
    ),
    "a session not counted": "UPDATE counters SET value = 2 WHERE key = 'sessions:{grant}'",
    "a minute's calls": "UPDATE counters SET value = value + 1 WHERE key LIKE 'rate:%'",
    "beyond its ceiling": "UPDATE counters SET value = 6 WHERE key = 'calls:{grant}'",
    "a session's sum": "UPDATE sessions SET uses = uses + 1 WHERE status = 'closed'",
}


async def test_what_is_whole_passes(used):
    counted = used.judge()
    assert (len(counted.uses), counted.running, counted.without_end) == (4, 1, 2)
    assert counted.closed_sessions == 2


async def test_damage_is_seen(used):
    for name, damage in DAMAGES.items():
        with pytest.raises(AssertionError):
            used.judge(damage)
            print(f"not seen: {name}")
    used.judge()


async def test_a_record_that_says_otherwise_is_seen(used):
    whole = used.reached
    other = Reached("use_of_nobody", used.grant.id, "GET /other")
    for damaged in (
        [*whole, other],
        [*whole, whole[0]],
        [*whole[1:], whole[0]._replace(call="GET /other")],
        [*whole[1:], whole[0]._replace(grant_id="grt_other")],
        [*whole[1:], whole[0]._replace(use_id="")],
    ):
        used.reached = damaged
        with pytest.raises(AssertionError):
            used.judge()


async def test_bytes_of_what_was_lost_before_anybody_looked(used):
    """Nothing tells how many: any number up to the ceiling passes, fewer than one does not."""
    used.seen = {}
    used.judge()
    with pytest.raises(AssertionError):
        used.judge("UPDATE counters SET value = 91 WHERE key = 'bytes:{grant}'")
