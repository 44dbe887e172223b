"""Streams of status lists on both databases, read as a gateway reads them."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from connectors.gateway.server_sent import EventReader
from connectors.gateway.status_follower import KINDS
from connectors.gateway.status_state import StatusState
from exchange.errors import Unavailable
from exchange.formats.status_token import ListToken, read_status_event
from exchange.status import feed as feeds
from exchange.status import store as stores
from exchange.status import stream as streams
from exchange.status.feed import StatusFeed
from exchange.status.model import list_uri
from exchange.status.store import StatusStore
from exchange.status.stream import RELOAD, Line, status_events
from tests.support.desk import open_world

ISSUER = "https://exchange.example"
NONCE = "n" * 22


@pytest.fixture
async def world(exchange, monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(streams, "SOON_SECONDS", 0.01)
    return await open_world(exchange)


class Reader:
    """One stream: every event of it is verified, and must follow the one before."""

    def __init__(self, world, feed, size, statuses):
        self.parts, self.provider = world.parts, world.platform.org_id
        self.uri, self.began = list_uri(ISSUER, self.provider), time.monotonic()
        line = Line(self.provider, self.uri, NONCE, self.began, ISSUER, self._sign)
        self.over = False
        self.stream = status_events(feed, line, size, 60, lambda: self.over)
        self.state = StatusState(ListToken(self.uri, size, statuses))
        self.events = []

    def _sign(self, kind, claims):
        return self.parts.token_keys.sign_status(kind, claims)

    async def next(self):
        """Take an event; `reload`, or the verified one."""
        piece = await asyncio.wait_for(anext(self.stream), 20)
        if piece == RELOAD:
            return "reload"
        [sent] = EventReader(100_000).feed(piece)
        keys, kind = self.parts.token_keys.public, KINDS[sent.kind]
        event = read_status_event(
            sent.data, keys, kind=kind, issuer=ISSUER, uri=self.uri, nonce=NONCE
        )
        now = time.monotonic()
        assert event.previous_index == self.state.log_index, "an event does not follow its last"
        assert self.began + event.as_of_ms / 1000 <= now
        self.state.accept(event, self.began, now)
        self.events.append(event)
        return event

    def says(self, grant):
        return self.state.status(grant.status_index, time.monotonic())


@asynccontextmanager
async def following(world):
    feed = StatusFeed(StatusStore(world.parts.ledger))
    task = asyncio.create_task(feed.run())
    yield feed
    task.cancel()


async def read_from_now(world, feed):
    return Reader(world, feed, *await feed.store.listed(world.platform.org_id))


async def test_a_stream_tells_changes_and_that_there_are_none(world):
    answer = await world.ask()
    async with following(world) as feed:
        reader = await read_from_now(world, feed)
        first = await reader.next()
        assert not first.changes
        await world.revoke(answer.grant.id)
        while reader.says(answer.grant) != "revoked":
            await reader.next()
        size = await world.parts.ledger.size()
        await world.ask(purpose="credit_scoring")  # a denial changes nothing, and is counted
        while reader.state.log_index <= size:
            assert not (await reader.next()).changes
        ages = [event.as_of_ms for event in reader.events]
        assert ages == sorted(ages)


async def test_whoever_was_away_catches_up(world):
    answers = [await world.ask(purpose=p) for p in ("logistics_planning", "scientific_research")]
    async with following(world) as feed:
        reader = await read_from_now(world, feed)
        await world.revoke(answers[0].grant.id)
        hold = await world.suspend(answers[1].grant.id)
        event = await reader.next()
        assert (event.previous_index, len(event.changes)) == (reader.events[0].previous_index, 2)
        assert [reader.says(a.grant) for a in answers] == ["revoked", "suspended"]
        await world.lift(hold.id)
        while reader.says(answers[1].grant) != "valid":
            await reader.next()


async def test_streams_that_begin_while_much_happens_leave_nothing_out(world):
    clients = [await world.client(world.sme.org_id) for _ in range(8)]
    answers = [await world.ask(replace(world.sme, client_id=c.id)) for c in clients]
    async with following(world) as feed:

        async def read():
            reader = await read_from_now(world, feed)
            while {reader.says(a.grant) for a in answers if reader.events} != {"revoked"}:
                await reader.next()
            return reader

        async def act(answer):
            hold = await world.suspend(answer.grant.id)
            await asyncio.sleep(0.02)
            await world.revoke(answer.grant.id)
            return hold

        reading = []
        for answer in answers:
            reading.append(asyncio.create_task(read()))
            await act(answer)
        for reader in await asyncio.gather(*reading):
            _, listed = await feed.store.listed(world.platform.org_id)
            assert reader.state._statuses.encode() == listed.encode()


async def test_a_stream_ends_when_it_is_told(world):
    async with following(world) as feed:
        reader = await read_from_now(world, feed)
        await reader.next()
        reader.over = True
        with pytest.raises(StopAsyncIteration):
            while True:
                await reader.next()
        assert not feed._listeners


async def test_too_much_at_once_is_fetched_as_a_list(world, monkeypatch):
    monkeypatch.setattr(stores, "MOST_CHANGES", 0)
    answer = await world.ask()
    async with following(world) as feed:
        reader = await read_from_now(world, feed)
        await reader.next()
        await world.revoke(answer.grant.id)
        while (said := await reader.next()) != "reload":
            assert not said.changes
        with pytest.raises(StopAsyncIteration):
            await reader.next()


async def test_a_reader_that_does_not_keep_up_begins_again(world, monkeypatch):
    monkeypatch.setattr(feeds, "MOST_NEWS", 1)
    answer = await world.ask()
    async with following(world) as feed:
        reader = await read_from_now(world, feed)
        await reader.next()
        [listener] = feed._listeners
        for _ in range(2):
            hold = await world.suspend(answer.grant.id)
            await world.lift(hold.id)
            deadline = time.monotonic() + 10
            size = await world.parts.ledger.size()
            while feed.log_index < size and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
        assert listener.is_lost
        assert await reader.next() == "reload"


async def test_a_platform_has_so_many_streams_at_once(world, monkeypatch):
    monkeypatch.setattr(feeds, "MOST_STREAMS", 2)
    async with following(world) as feed:
        readers = [await read_from_now(world, feed) for _ in range(3)]
        await readers[0].next()
        await readers[1].next()
        with pytest.raises(Unavailable):
            await readers[2].next()
        with feed.listen("org_of_somebody_else"):
            await readers[0].stream.aclose()
        await (await read_from_now(world, feed)).next()


async def test_while_the_log_cannot_be_read_nothing_gets_younger(world, monkeypatch):
    """Heartbeats go on, and say how old what they say is: whoever reads them closes in time."""
    async with following(world) as feed:
        reader = await read_from_now(world, feed)
        await reader.next()

        def broken(*_):
            raise Unavailable("database_unavailable", "away")

        working = feed.store._since
        monkeypatch.setattr(feed.store, "_since", broken)
        await reader.next()  # perhaps of a look before
        old = [(await reader.next()).as_of_ms for _ in range(4)]
        assert old[1:] == old[:1] * 3
        with pytest.raises(Unavailable):
            await (await anew(world, feed, reader)).next()
        monkeypatch.setattr(feed.store, "_since", working)
        while (await reader.next()).as_of_ms == old[0]:
            pass


async def anew(world, feed, reader):
    return Reader(world, feed, reader.state.log_index, reader.state._statuses)
