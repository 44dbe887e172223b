"""A second opinion on a whole log, from its rows: the tree hashed anew, the leaves matched with
the rows that they speak of, in both directions. Written without exchange.ledger and
exchange.access, whose work it judges.
"""

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from exchange.formats.note import Verifier, open_note
from tests.support.judge_clients import judge_clients

Sql = Callable[..., list[tuple]]


@dataclass(frozen=True)
class Judged:
    """A log that was found whole."""

    size: int
    root: bytes
    roots: Sequence[bytes]  # at every size, the empty log's first
    entries: Sequence[bytes]
    events: Sequence[dict]

    def count(self, kind: str) -> int:
        return sum(event["type"] == f"exchange.{kind}" for event in self.events)

    def of(self, kind: str) -> list[dict]:
        return [event["data"] for event in self.events if event["type"] == f"exchange.{kind}"]


def roots_of(leaves: Sequence[bytes]) -> Iterator[bytes]:
    """The root at every size from 0 on (RFC 6962), by merging equal heights."""
    peaks: list[tuple[int, bytes]] = []
    yield sha256(b"").digest()
    for leaf in leaves:
        peaks.append((0, leaf))
        while len(peaks) > 1 and peaks[-1][0] == peaks[-2][0]:
            (height, left), (_, right) = peaks[-2:]
            peaks[-2:] = [(height + 1, sha256(b"\x01" + left + right).digest())]
        root = peaks[-1][1]
        for _, left in reversed(peaks[:-1]):
            root = sha256(b"\x01" + left + root).digest()
        yield root


def judge_log(sql: Sql) -> Judged:
    """Hash every entry and compare: leaves, tiles, compact range, every checkpoint, its note."""
    ((log_id, origin, vkey, size, edge, note),) = sql(
        "SELECT log_id, origin, verifier_key, size, compact_range, note FROM log_state"
    )
    rows = sql("SELECT leaf_index, leaf_hash, entry, event_id, log_id FROM entries ORDER BY 1")
    assert [row[0] for row in rows] == list(range(size)), "indexes have gaps, or the size lies"
    assert {row[4] for row in rows} <= {log_id}
    stored = [bytes(row[2]) for row in rows]
    leaves = [sha256(b"\x00" + entry).digest() for entry in stored]
    assert [bytes(row[1]) for row in rows] == leaves, "a leaf hash is not that of its entry"
    events = [json.loads(entry) for entry in stored]
    assert [row[3] for row in rows] == [event["id"] for event in events]
    assert len({event["nonce"] for event in events}) == size
    roots = list(roots_of(leaves))

    verifier = Verifier.parse(vkey)
    assert signed(note, verifier) == (origin, size, roots[size])
    checkpoints = sql("SELECT size, root, note FROM checkpoints ORDER BY size")
    for at, root, shown in checkpoints:
        assert bytes(root) == roots[at], f"the checkpoint of {at} has another root"
        assert signed(shown, verifier) == (origin, at, roots[at])
    assert checkpoints[-1][2] == note
    assert bytes(edge) == b"".join(_edge(leaves)), "the compact range is another's"
    _judge_tiles(sql, leaves)
    return Judged(size, roots[size], roots, stored, events)


def signed(note: str, verifier: Verifier) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint that this key signed."""
    origin, size, root, _ = open_note(note, [verifier]).text.split("\n")
    return origin, int(size), b64decode(root)


def _edge(leaves: Sequence[bytes]) -> list[bytes]:
    """The roots of the complete subtrees that make up the tree, the largest first."""
    edge, start = [], 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            *_, root = roots_of(leaves[start : start + (1 << bit)])
            edge.append(root)
            start += 1 << bit
    return edge


def _judge_tiles(sql: Sql, leaves: Sequence[bytes]) -> None:
    """Exactly the full tiles are stored, with the hashes and the root of each level."""
    stored = sql("SELECT level, tile_index, hashes, root FROM tiles ORDER BY level, tile_index")
    expected, level, hashes = [], 0, list(leaves)
    while len(hashes) >= 256:
        above = []
        for index in range(len(hashes) // 256):
            part = hashes[256 * index : 256 * index + 256]
            *_, root = roots_of(part)
            above.append(root)
            expected.append((level, index, b"".join(part), root))
        level, hashes = level + 1, above
    assert [(lv, i, bytes(h), bytes(r)) for lv, i, h, r in stored] == expected


def judge_rows(sql: Sql, log: Judged, moved_ends: Collection[str] = ()) -> None:
    """Every row has the leaf that names it, and every leaf names a row: nothing else, nothing
    twice. `moved_ends` are grants whose end a test moved, in place of waiting for it."""
    by_id = {event["id"]: (index, event) for index, event in enumerate(log.events)}

    def leaf(event_id: str, kind: str) -> tuple[int, dict]:
        index, event = by_id[event_id]
        assert event["type"] == f"exchange.{kind}", (event["type"], kind)
        return index, event["data"]

    def named(member: str, *kinds: str) -> list[str]:
        return sorted(data[member] for kind in kinds for data in log.of(kind))

    grants = sql(
        "SELECT id, event_id, leaf_index, request_id, decision_id, client_id, ends_ms, status "
        "FROM grants"
    )
    for grant_id, event_id, leaf_index, request_id, decision_id, client, ends, _ in grants:
        index, data = leaf(event_id, "grant.activated.v1")
        assert index == leaf_index
        assert (data["grant_id"], data["request_id"]) == (grant_id, request_id)
        assert (data["decision_id"], data["client_id"]) == (decision_id, client)
        last = [data, *(d for d in log.of("grant.renewed.v1") if d["renews"] == grant_id)][-1]
        assert last["ends_ms"] == ends or grant_id in moved_ends
    assert named("grant_id", "grant.activated.v1") == sorted(row[0] for row in grants)
    for status, kind in (("revoked", "grant.revoked.v2"), ("ended", "grant.ended.v1")):
        assert named("grant_id", kind) == sorted(row[0] for row in grants if row[7] == status)

    assert {data["renews"] for data in log.of("grant.renewed.v1")} <= {row[0] for row in grants}
    decisions = sql(
        "SELECT id, event_id, leaf_index, outcome, request_id, input_salt, input FROM decisions"
    )
    kinds = {
        "permit": "grant.activated.v1",
        "deny": "decision.denied.v1",
        "needs_approval": "decision.needs_approval.v1",
    }
    for decision_id, event_id, leaf_index, outcome, request_id, salt, document in decisions:
        kind = kinds[outcome]
        met = by_id[event_id][1]["type"].removeprefix("exchange.")
        of_a_rule = "hold.lifted.v1" if outcome == "permit" else "hold.placed.v1"
        if met == of_a_rule or (met, outcome) == ("grant.renewed.v1", "permit"):
            kind = met
        index, data = leaf(event_id, kind)
        assert (index, data["decision_id"]) == (leaf_index, decision_id)
        assert data["request_id"] == request_id
        document = json.loads(document) if isinstance(document, str) else document
        canonical = json.dumps(
            document, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        ).encode()
        assert data["input_hash"] == sha256(bytes.fromhex(salt) + canonical).hexdigest()
    decided = named("decision_id", *kinds.values(), "grant.renewed.v1")
    by_rules = [d["decision_id"] for kind in HOLD_KINDS for d in log.of(kind) if d["decision_id"]]
    assert sorted([*decided, *by_rules]) == sorted(row[0] for row in decisions)
    _judge_holds(sql, log, {row[0]: row[3] for row in decisions})
    _judge_requests(sql, log, {row[0]: (row[3], row[4]) for row in decisions})

    opened = sql("SELECT id, status FROM sessions")
    assert named("session_id", "delivery.opened.v1") == sorted(row[0] for row in opened)
    closed = sorted(row[0] for row in opened if row[1] == "closed")
    assert named("session_id", "delivery.closed.v2") == closed

    hooks = sql("SELECT id, status FROM webhooks")
    assert named("webhook_id", "webhook.registered.v1") == sorted(row[0] for row in hooks)
    removed = sorted(row[0] for row in hooks if row[1] == "removed")
    assert named("webhook_id", "webhook.removed.v1") == removed

    for table, kind in (
        ("attribute_versions", "attribute.set.v1"),
        ("offering_versions", "offering.published.v1"),
    ):
        ids = [row[0] for row in sql(f"SELECT event_id FROM {table}")]
        leaves = [event["id"] for event in log.events if event["type"] == f"exchange.{kind}"]
        assert sorted(ids) == sorted(leaves)
    for table, kinds_of, member in (
        ("organisations", ["organisation.registered.v1"], "organisation_id"),
        ("clients", [f"client.registered.v{n}" for n in (1, 2, 3)], "client_id"),
        ("members", ["member.invited.v1"], "member_id"),
    ):
        ids = [row[0] for row in sql(f"SELECT id FROM {table}")]
        assert named(member, *kinds_of) == sorted(ids)
    _judge_members(sql, log)
    judge_clients(sql, log)
    assert max(Counter(named("client_id", "client.disabled.v1")).values(), default=1) == 1


HOLD_KINDS = ("hold.placed.v1", "hold.lifted.v1")


def _judge_holds(sql: Sql, log: Judged, outcomes: dict[str, str]) -> None:
    """Each hold and each lifting has its leaf, in that order, and targets count their open ones."""
    place = {event["id"]: index for index, event in enumerate(log.events)}
    holds = sql(
        "SELECT id, event_id, target_id, placed_by, reason, decision_id, lifted_ms, lift_event_id, "
        "lifted_by, lift_decision_id FROM holds"
    )
    still_open: Counter[str] = Counter()
    by_rules: Counter[str] = Counter()
    for hold_id, event_id, target, placed_by, reason, decision, lifted, lift, by, why in holds:
        event = log.events[place[event_id]]
        assert (event["type"], event["subject"]) == ("exchange.hold.placed.v1", target)
        data = event["data"]
        assert (data["hold_id"], data["target_id"]) == (hold_id, target)
        assert (data["placed_by"], data["reason"]) == (placed_by, reason)
        assert data["decision_id"] == decision
        assert (placed_by == "rule") == (decision is not None) == (reason == "policy_would_refuse")
        assert decision is None or outcomes[decision] != "permit"
        assert (lifted is None) == (lift is None)
        if lift is None:
            still_open[target] += 1
            by_rules[target] += placed_by == "rule"
            continue
        lifting = log.events[place[lift]]
        assert (lifting["type"], lifting["subject"]) == ("exchange.hold.lifted.v1", target)
        assert lifting["data"]["hold_id"] == hold_id
        assert (lifting["data"]["lifted_by"], lifting["data"]["decision_id"]) == (by, why)
        assert (by == "rule") == (why is not None)
        assert why is None or outcomes[why] == "permit"
        assert place[lift] > place[event_id]
    placed, lifted_ones = (sorted(d["hold_id"] for d in log.of(kind)) for kind in HOLD_KINDS)
    assert placed == sorted(row[0] for row in holds)
    assert lifted_ones == sorted(row[0] for row in holds if row[7] is not None)
    assert max(by_rules.values(), default=0) <= 1, "a rule holds a grant once at most"
    counted = {
        row_id: count
        for table in ("grants", "offerings", "organisations")
        for row_id, count in sql(f"SELECT id, holds FROM {table}")
    }
    assert {row_id: n for row_id, n in counted.items() if n} == dict(still_open)


def _judge_requests(sql: Sql, log: Judged, decisions: dict[str, tuple[str, str]]) -> None:
    """A request's state is what its decisions and its steps say, and each step has its leaf."""
    steps = sql("SELECT id, event_id, request_id, kind FROM request_steps ORDER BY id")
    leaves = {
        event["id"]: event["data"] for event in log.events if "exchange.request." in event["type"]
    }
    assert {row[1] for row in steps} == set(leaves)
    for step_id, event_id, request_id, _ in steps:
        assert (leaves[event_id]["step_id"], leaves[event_id]["request_id"]) == (
            step_id,
            request_id,
        )
    requests = sql(
        "SELECT id, status, decision_id, grant_id, renews, waits_for FROM access_requests"
    )
    assert {request_id for _, request_id in decisions.values()} == {row[0] for row in requests}
    place = {event["id"]: index for index, event in enumerate(log.events)}
    gone = {e["subject"]: place[e["id"]] for e in log.events if "grant.revoked" in e["type"]}
    for request_id, status, decision_id, grant_id, renews, waits_for in requests:
        outcome, of = decisions[decision_id]
        assert of == request_id
        own = [(place[event], kind) for _, event, of, kind in steps if of == request_id]
        last = [kind for _, kind in sorted(own)]
        ended = None
        for at, kind in sorted(own):
            if kind in ("rejected", "withdrawn", "lapsed"):
                ended = kind
            elif kind == "appealed" and ended != "withdrawn" and gone.get(renews, at) >= at:
                ended = None  # else it is of the grant
        expected = {"permit": "permitted", "deny": "denied"}.get(outcome, "pending_approval")
        if expected == "permitted" and "approved" in last:
            expected = "approved"
        if expected == "pending_approval" and ended:
            expected = ended
        assert status == expected, (request_id, status, expected)
        assert (waits_for is not None) == (status == "pending_approval")
        assert (grant_id is not None) == (status in ("permitted", "approved") or renews is not None)


def _judge_members(sql: Sql, log: Judged) -> None:
    """Members are what their leaves made them; the clients of one who is gone are disabled."""
    told: dict[str, tuple[str, list[str]]] = {}
    for event in log.events:
        data, kind = event["data"], event["type"].removeprefix("exchange.member.")
        if kind == "invited.v1":
            told[data["member_id"]] = ("invited", data["roles"])
        elif kind == "joined.v1":
            assert told[data["member_id"]][0] == "invited"
            told[data["member_id"]] = ("active", told[data["member_id"]][1])
        elif kind == "roles_changed.v1":
            assert told[data["member_id"]][0] != "removed"
            told[data["member_id"]] = (told[data["member_id"]][0], data["roles"])
        elif kind == "removed.v1":
            assert told[data["member_id"]][0] != "removed"
            told[data["member_id"]] = ("removed", told[data["member_id"]][1])
    rows = sql("SELECT id, status, roles, name FROM members")
    for member_id, status, roles, name in rows:
        roles = json.loads(roles) if isinstance(roles, str) else roles
        assert told.pop(member_id) == (status, roles)
        assert (name is None) == (status == "removed")
    assert told == {}
    made = [*log.of("client.registered.v2"), *log.of("client.registered.v3")]
    owners = {data["client_id"]: data["member_id"] for data in made if data["member_id"]}
    found = sql("SELECT id, member_id FROM clients WHERE member_id IS NOT NULL")
    assert dict(found) == owners
    gone = {row[0] for row in rows if row[1] == "removed"}
    disabled = {data["client_id"] for data in log.of("client.disabled.v1")}
    assert {client for client, member in owners.items() if member in gone} <= disabled


def judge(sql: Sql, moved_ends: Collection[str] = ()) -> Judged:
    """The log is whole, and it and the rows tell the same story."""
    log = judge_log(sql)
    judge_rows(sql, log, moved_ends)
    return log
