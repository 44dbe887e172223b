"""A second opinion on what was used: uses, their ends, leases and counters, against each other and
against the record of the service that was called. Written without exchange.access, as `judge` is.

The load that it judges gives each call a path of its own, so that one counted twice shows.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from tests.support.call_record import Reached
from tests.support.judge import Judged, Sql, roots_of


class Use(NamedTuple):
    """A row of `uses`."""

    log_id: str
    id: str
    session_id: str
    grant_id: str
    consumer_id: str
    provider_id: str
    client_id: str
    method: str
    target: str
    first_byte: int
    last_byte: int
    at_ms: int

    @property
    def is_call(self) -> bool:
        return self.first_byte < 0


COLUMNS = Use._fields


@dataclass(frozen=True)
class Counted:
    """What was found. A use without an end runs, or whatever ran it is dead."""

    uses: Sequence[Use]
    running: int
    without_end: int
    closed_sessions: int


def judge_uses(
    sql: Sql, log: Judged, reached: Sequence[Reached] = (), seen: Mapping[str, int] | None = None
) -> Counted:
    """Hold all of it together; raises AssertionError.

    `seen` are bytes that uses had reserved when they were last seen running: of one that was lost
    nothing else tells.
    """
    uses = [Use(*row) for row in sql(f"SELECT {', '.join(COLUMNS)} FROM uses ORDER BY id")]
    by_id = {use.id: use for use in uses}
    _judge_reached(by_id, reached)
    calls = Counter(use.target for use in uses if use.is_call)
    twice = [call for call, times in calls.items() if times > 1]
    assert not twice, f"counted twice: {twice[:3]}"

    ends = dict(sql("SELECT use_id, sent_bytes FROM use_ends"))
    assert ends.keys() <= by_id.keys(), "an end of no use"
    rows = sql("SELECT id, grant_id, reserved_bytes FROM running_uses")
    running = {use_id: reserved for use_id, _, reserved in rows}
    assert all(by_id[use_id].grant_id == grant for use_id, grant, _ in rows)
    assert running.keys().isdisjoint(ends), "a use runs that has ended"
    sessions = _judge_sessions(sql, log, uses)
    _judge_counters(sql, uses, sessions, _Spent(ends, running, seen or {}))
    closed = len(log.of("delivery.closed.v2"))
    return Counted(uses, len(running), len(uses) - len(ends), closed)


def _judge_reached(by_id: Mapping[str, Use], reached: Sequence[Reached]) -> None:
    """Whatever reached the service is recorded as what it was, and reached it once."""
    again = [use_id for use_id, times in Counter(r.use_id for r in reached).items() if times > 1]
    assert not again, f"sent twice: {again[:3]}"
    for each in reached:
        use = by_id.get(each.use_id)
        assert use is not None, f"{each} reached the service and is not recorded"
        assert (use.grant_id, use.target) == (each.grant_id, each.call)
        assert use.target.startswith(f"{use.method} /")


def _judge_sessions(sql: Sql, log: Judged, uses: Sequence[Use]) -> Counter[str]:
    """Uses are of sessions of their grant; a closed one's leaf has their number and their root.

    Returns how many sessions each grant has.
    """
    rows = sql("SELECT id, grant_id, client_id, status, uses FROM sessions")
    of_session = defaultdict(list)
    for use in uses:
        of_session[use.session_id].append(use)
    assert of_session.keys() == {row[0] for row in rows}, "a session without a use, or the reverse"
    leaves = {leaf["session_id"]: leaf for leaf in log.of("delivery.closed.v2")}
    for session_id, grant_id, client_id, status, count in rows:
        own = of_session[session_id]
        assert {(use.grant_id, use.client_id) for use in own} == {(grant_id, client_id)}
        if status != "closed":
            continue
        leaf = leaves[session_id]
        assert leaf["uses"] == count == len(own), "a session's leaf has another number of uses"
        *_, root = roots_of([_leaf_hash(use) for use in own])
        assert leaf["uses_root"] == root.hex(), "a use is not what its session's leaf says"
    return Counter(row[1] for row in rows)


def _leaf_hash(use: Use) -> bytes:
    document = dict(zip(COLUMNS, use, strict=True))
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(b"\x00" + text.encode()).digest()


@dataclass(frozen=True)
class _Spent:
    """What each use took of an allowance of bytes: at least, and at most."""

    ends: Mapping[str, int]
    running: Mapping[str, int]
    seen: Mapping[str, int]

    def bytes_of(self, use: Use, ceiling: int) -> tuple[int, int]:
        if not use.is_call and use.id not in self.ends:
            reserved = use.last_byte - use.first_byte + 1
            return reserved, reserved
        for known in (self.ends, self.running, self.seen):
            if use.id in known:
                return known[use.id], known[use.id]
        return 1, ceiling  # it was lost before anybody looked


def _judge_counters(
    sql: Sql, uses: Sequence[Use], sessions: Mapping[str, int], spent: _Spent
) -> None:
    """Every counter is what its uses add up to, and none is beyond its ceiling."""
    of_grant = defaultdict(list)
    for use in uses:
        of_grant[use.grant_id].append(use)
    counted: dict[tuple[str, str], int] = defaultdict(int)
    grants = {
        grant_id: json.loads(found) if isinstance(found, str) else found
        for grant_id, found in sql("SELECT id, obligations FROM grants")
    }
    for key, value in sql("SELECT key, value FROM counters"):
        name, first, *rest = key.split(":")
        grant_id = rest[0] if name == "rate" else first
        own = of_grant[grant_id]
        ceiling = grants[grant_id]["calls_per_minute" if name == "rate" else name]
        assert 0 <= value <= ceiling, f"{key} is {value} of {ceiling}"
        if name == "rate":
            assert value == sum(use.at_ms // 60_000 == int(first) for use in own), key
        else:
            counted[name, grant_id] += value
    for grant_id, obligations in grants.items():
        own = of_grant[grant_id]
        exact = {
            "calls": sum(use.is_call for use in own),
            "sessions": sessions.get(grant_id, 0),
            "concurrent": sum(use.id in spent.running for use in own),
        }
        for name in exact.keys() & obligations.keys():
            found = counted[name, grant_id]
            assert found == exact[name], f"{name} of {grant_id}: {found}, not {exact[name]}"
        if "bytes" in obligations:
            taken = [spent.bytes_of(use, obligations["bytes"]) for use in own]
            least, most = sum(low for low, _ in taken), sum(high for _, high in taken)
            found = counted["bytes", grant_id]
            assert least <= found <= most, f"{found} bytes of {grant_id}, not {least} to {most}"
