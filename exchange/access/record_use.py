"""Record a use before anything is released: uses are rows, sessions are leaves (ledger notes)."""

from dataclasses import replace

from exchange.access.allowance import UseOf, counter, is_leased, spends, used_up
from exchange.access.model import Grant
from exchange.access.parties import Around
from exchange.access.request_access import Desk
from exchange.access.running import lease
from exchange.access.store import GRANTS, RUNNING, SESSIONS, USES
from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden, Unavailable
from exchange.ids import new_id
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import (
    Exhausted,
    Insert,
    Met,
    Once,
    RowKey,
    Spend,
    Stale,
    Write,
)
from exchange.participants.model import Client
from exchange.participants.store import CLIENTS

TRIES = 5


async def record_use(desk: Desk, grant: Grant, client: Client, use: UseOf, minutes: int) -> str:
    """Commit one use, with its session's leaf when it is the first; return the use's id.

    Raises Conflict when the grant changed since it was read, Forbidden when it is suspended or
    over, or an allowance is used up, Unavailable when the log takes nothing: in each case nothing
    may be released.
    """
    key = f"session:{grant.id}:{client.id}:{use.object_version}"
    own: dict[RowKey, int] = {(GRANTS, grant.id): grant.rev, (CLIENTS, client.id): client.rev}
    fresh = False
    for _ in range(TRIES):
        around = await load_around(desk, grant, fresh=fresh)
        if around.is_held and not fresh:  # so it was, as the caches know
            around = await load_around(desk, grant, fresh=True)
        _check(replace(grant, holds_around=int(around.is_held)))
        met = await desk.store.met([key], now_ms())
        session_id = str((met.outcome or {})["id"]) if met is not None else None
        reads = {**own, **around.reads()}
        write, use_id = _write(desk.ledger, grant, use, key, session_id, reads, minutes)
        try:
            result = await desk.ledger.commit(write)
        except Stale as stale:
            changed = {table for table, _ in stale.rows}
            if changed.isdisjoint((GRANTS.name, CLIENTS.name)):
                fresh = True  # its session was closed, or what stands around it changed: look again
                continue
            if (now := await desk.store.grant(grant.id)) is not None:
                _check(now)
            raise Conflict("grant_changed", "The grant changed while it was being used.") from stale
        except Exhausted as error:
            raise used_up(error, grant, now_ms(), asked_bytes=use.reserved_bytes) from error
        if isinstance(result, Met):
            continue  # another request opened the session first: join it
        return use_id
    raise Unavailable("busy", "The delivery could not be recorded, so nothing is delivered.")


async def spend_rate(ledger: Ledger, grant: Grant) -> None:
    """Count a request that gets no data, and so is no use, towards the grant's rate.

    Raises Forbidden where the minute's are used up, Unavailable.
    """
    now, name = now_ms(), "calls_per_minute"
    ceiling = grant.obligations.get(name)
    if ceiling is None:
        return
    try:
        await ledger.commit(Write(spends=[Spend(counter(name, grant, now), 1, int(ceiling))]))
    except Exhausted as error:
        raise used_up(error, grant, now) from error


async def load_around(desk: Desk, grant: Grant, *, fresh: bool = False) -> Around:
    """Return what a grant stands on beside itself; raises Unavailable."""
    organisations = desk.participants.organisations
    consumer = await organisations.get(grant.consumer_id, fresh=fresh)
    provider = await organisations.get(grant.provider_id, fresh=fresh)
    offering = await desk.catalog.offerings.get(grant.offering_id, fresh=fresh)
    if consumer is None or provider is None or offering is None:
        raise Unavailable("grant_incomplete", "What the grant stands on cannot be read.")
    return Around(consumer, provider, offering)


def _check(grant: Grant) -> None:
    state = grant.state(now_ms())
    if state != "active":  # hashing a large file may have taken it past its end
        raise Forbidden(f"grant_{state}", f"The grant is {state}.")


def _write(
    ledger: Ledger,
    grant: Grant,
    use: UseOf,
    key: str,
    session_id: str | None,
    reads: dict[RowKey, int],
    minutes: int,
) -> tuple[Write, str]:
    now, log_id = now_ms(), ledger.log_id
    both = {"consumer_id": grant.consumer_id, "provider_id": grant.provider_id}
    use_id = new_id("use", log_id)
    is_first = session_id is None
    session_id = session_id or new_id("ses", log_id)
    row = {
        "log_id": log_id,
        "id": use_id,
        "session_id": session_id,
        "grant_id": grant.id,
        **both,
        "client_id": grant.client_id,
        "method": use.method,
        "target": use.object_name,
        "first_byte": use.first_byte,
        "last_byte": use.last_byte,
        "at_ms": now,
    }
    inserts, spent = [Insert(USES, row)], spends(grant, use, now, opens=is_first)
    if is_leased(grant):
        inserts.append(Insert(RUNNING, lease(grant, use_id, use.reserved_bytes, now)))
    if not is_first:
        reads = {**reads, (SESSIONS, session_id): 1}
        return Write(reads=reads, inserts=inserts, spends=spent), use_id
    expires = min(now + minutes * 60_000, grant.ends_ms)
    event = ledger.event(
        "delivery.opened.v1",
        session_id,
        {
            "session_id": session_id,
            "grant_id": grant.id,
            "client_id": grant.client_id,
            "object_sha256": use.object_version,
            "expires_ms": expires,
        },
        time_ms=now,
        **both,
    )
    session = {
        "log_id": log_id,
        "id": session_id,
        "grant_id": grant.id,
        "client_id": grant.client_id,
        **both,
        "object_name": "calls" if use.is_call else use.object_name,
        "object_version": use.object_version,
        "status": "open",
        "opened_ms": now,
        "expires_ms": expires,
        "rev": 1,
    }
    return (
        Write(
            [event],
            reads=reads,
            inserts=[Insert(SESSIONS, session), *inserts],
            once=[Once(key, expires, {"id": session_id})],
            spends=spent,
        ),
        use_id,
    )
