"""The follower of a status list against an exchange of a script, with clocks of the test's."""

import zlib
from contextlib import asynccontextmanager

import httpx
import pytest

from connectors.gateway import status_follower
from connectors.gateway.status import StatusElsewhere, StatusStale, check_status
from connectors.gateway.status_follower import StatusFollower
from exchange.formats.jwk import encode_base64url
from exchange.formats.status_list import INVALID, SUSPENDED, VALID
from exchange.formats.status_token import LIST_TYPE
from exchange.formats.tokens import StatusPlace
from tests.support.status_script import ISSUER, SIZE, URI, Scripted, Signer, until


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    def __init__(self, monkeypatch):
        self.clock, self.exchange = Clock(), Scripted(Signer())
        monkeypatch.setattr(status_follower, "FIRST_PAUSE", 0.001)
        monkeypatch.setattr(status_follower, "LONGEST_PAUSE", 0.01)

    async def show(self, _url):
        return {"Authorization": "Bearer token"}

    def learn(self, answer):
        self.learnt = answer.headers

    @asynccontextmanager
    async def following(self):
        async with httpx.AsyncClient(transport=self.exchange) as http:
            self.follower = StatusFollower(
                http,
                URI,
                issuer=ISSUER,
                keys=lambda: self.exchange.signer.keys,
                credentials=self,
                clock=self.clock,
            )
            async with self.follower.running():
                yield self.follower

    def says(self, index=5, uri=URI):
        try:
            return self.follower.check(StatusPlace(uri, index))
        except StatusStale:
            return "stale"

    async def until(self, said, index=5):
        await until(lambda: self.says(index) == said)


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


async def test_nothing_is_known_before_the_streams_first_word(world):
    """A list alone proves no age: whoever sits between could have kept it."""
    async with world.following():
        assert world.says() == "stale"
        stream = await world.exchange.stream(0)
        assert (world.exchange.fetched, stream.after) == (1, 10)
        assert world.says() == "stale"
        world.exchange.heartbeat(stream, 0)
        await world.follower.until_known()
        assert world.says() == "valid"


async def test_changes_come_as_they_are_made(world):
    world.exchange.statuses[5] = SUSPENDED
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("suspended")
        with world.follower.watch(StatusPlace(URI, 5)) as told:
            world.exchange.delta(stream, 0, 12, [(6, INVALID)])
            await world.until("revoked", 6)
            assert not told.is_set()
            world.exchange.delta(stream, 0, 13, [(5, VALID)])
            await world.until("valid")
            assert told.is_set()
        world.exchange.delta(stream, 0, 20, [(5, INVALID), (7, SUSPENDED)])
        await world.until("revoked")
        assert [world.says(i) for i in (6, 7, 8)] == ["revoked", "suspended", "valid"]
        assert (world.exchange.fetched, len(world.exchange.streams)) == (1, 1)


async def test_beyond_ten_seconds_it_is_closed_and_a_word_opens_it_again(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        world.clock.now += 10
        assert world.says() == "valid"
        world.clock.now += 0.001
        assert world.says() == "stale"
        world.exchange.heartbeat(stream, 9.9)
        await world.until("valid")


async def test_age_counts_from_before_it_was_asked_for(world):
    """The answer took 3 s: what it says was so at some time in them, so it may be 3 s old."""
    async with world.following():
        stream = await world.exchange.stream(0)
        world.clock.now += 3
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        world.clock.now += 7
        assert world.says() == "valid"
        world.clock.now += 0.001
        assert world.says() == "stale"


async def test_a_heartbeat_played_again_makes_nothing_younger(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        token = world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        world.clock.now += 11
        for _ in range(20):
            stream.raw("heartbeat", token)
        world.exchange.delta(stream, 0, 11, [(99, INVALID)])  # of that age too, and read after them
        await until(lambda: world.follower._state.log_index == 11)
        assert world.says() == "stale"


async def test_a_stream_that_is_held_back_is_as_old_as_it_is(world):
    """All of it arrives, signed and in order, but late: closed, and another stream asked for."""
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        world.clock.now += 12
        world.exchange.heartbeat(stream, 1.5)
        second = await world.exchange.stream(1)
        assert world.says() == "stale"
        assert stream.closed.is_set()
        world.exchange.heartbeat(second, 0)
        await world.until("valid")
        assert world.exchange.fetched == 1


async def test_an_event_of_the_future_is_of_now(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 3600)
        await world.until("valid")
        world.clock.now += 10.001
        assert world.says() == "stale"


async def test_what_was_left_out_is_fetched(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        world.exchange.delta(stream, 0, 12, [(5, INVALID)], send=False)
        world.exchange.statuses[5] = INVALID
        world.exchange.heartbeat(stream, 1, 14)  # it stands upon what never came
        second = await world.exchange.stream(1)
        assert (world.exchange.fetched, second.after) == (2, 14)
        assert world.says() == "valid"  # as old as it is, and not older: 10 s are for this
        world.exchange.heartbeat(second, 0)
        await world.until("revoked")


async def test_events_in_another_order_leave_a_gap(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        first = world.exchange.delta(stream, 0, 12, [(5, INVALID)], send=False)
        second = world.exchange.delta(stream, 0, 14, [(5, VALID)], send=False)
        world.exchange.statuses[6] = INVALID
        stream.raw("delta", second)
        stream.raw("delta", first)
        again = await world.exchange.stream(1)
        assert again.after == 14
        world.exchange.heartbeat(again, 0)
        await world.until("revoked", 6)
        assert world.says() == "valid"


async def test_an_older_change_played_again_changes_nothing(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        lifted = world.exchange.delta(stream, 0, 12, [(5, VALID)])
        world.exchange.delta(stream, 0, 13, [(5, INVALID)])
        await world.until("revoked")
        stream.raw("delta", lifted)
        world.exchange.delta(stream, 0, 14, [(6, INVALID)])
        await world.until("revoked", 6)
        assert world.says() == "revoked"
        assert world.exchange.fetched == 1


async def test_after_the_link_was_cut_it_goes_on_where_it_was(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0, 12)
        await world.until("valid")
        world.exchange.away = True
        stream.end()
        world.clock.now += 30
        assert world.says() == "stale"
        world.exchange.away = False
        second = await world.exchange.stream(1)
        assert (second.after, world.exchange.fetched) == (12, 1)
        assert second.nonce != stream.nonce
        world.exchange.delta(second, 0, 15, [(5, INVALID)])
        await world.until("revoked")


async def test_silence_leads_to_another_stream(world, monkeypatch):
    monkeypatch.setattr(status_follower, "SILENCE_SECONDS", 0.05)
    async with world.following():
        first = await world.exchange.stream(0)
        token = world.exchange.heartbeat(first, 0)
        await world.until("valid")
        first.sent.put_nowait(b": nothing\n\n")
        first.raw("heartbeat", token)
        await world.exchange.stream(1)
        assert first.closed.is_set()


async def test_the_exchange_may_say_that_the_gap_is_too_long(world):
    async with world.following():
        first = await world.exchange.stream(0)
        first.raw("reload", "{}")
        await world.exchange.stream(1)
        assert world.exchange.fetched == 2


@pytest.mark.parametrize("what", ["signature", "nonce", "list", "kind", "bytes", "name", "long"])
async def test_an_event_that_is_not_of_this_stream_is_refused(world, what):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        revoking = {"index": 12, "changes": [(5, INVALID)], "previous": 10, "send": False}
        if what == "signature":
            stranger = Scripted(Signer())
            stream.raw("delta", stranger.delta(stream, 0, **revoking))
        elif what == "nonce":
            stream.raw("delta", world.exchange.delta(stream, 0, **revoking, nonce="another"))
        elif what == "list":
            stream.raw("delta", world.exchange.delta(stream, 0, **revoking, uri=URI + "2"))
        elif what == "kind":
            stream.raw("heartbeat", world.exchange.delta(stream, 0, **revoking))
        elif what == "bytes":
            stream.sent.put_nowait(b"event: delta\ndata: \xff\n\n")
        elif what == "name":
            stream.raw("surprise", world.exchange.delta(stream, 0, **revoking))
        else:
            stream.sent.put_nowait(b"event: delta\ndata: " + b"a" * 100_000)
        second = await world.exchange.stream(1)
        assert world.says() == "valid"
        world.exchange.heartbeat(second, 0)
        world.exchange.delta(second, 0, 12, [(6, INVALID)])
        await world.until("revoked", 6)
        assert world.says() == "valid"


async def refuses(world, token):
    world.exchange.list_token = token
    async with world.following():
        await until(lambda: world.exchange.fetched > 3)
        assert not world.exchange.streams
        assert world.says() == "stale"
        world.exchange.list_token = None  # and what stays closed opens again by itself
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")


async def test_the_list_of_another_platform_is_refused(world):
    claims = {"iss": ISSUER, "sub": URI + "2", "log_index": 10}
    claims["status_list"] = world.exchange.statuses.encode()
    await refuses(world, world.exchange.signer.sign(LIST_TYPE, claims))


async def test_a_list_that_is_a_bomb_is_refused(world):
    lst = encode_base64url(zlib.compress(bytes(64 << 20)))
    claims = {"iss": ISSUER, "sub": URI, "log_index": 10, "status_list": {"bits": 2, "lst": lst}}
    await refuses(world, world.exchange.signer.sign(LIST_TYPE, claims))


async def test_a_list_signed_by_a_stranger_is_refused(world):
    claims = {"iss": ISSUER, "sub": URI, "log_index": 10}
    claims["status_list"] = world.exchange.statuses.encode()
    await refuses(world, Signer().sign(LIST_TYPE, claims))


async def test_an_answer_in_another_format_is_no_stream(world):
    world.exchange.headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.exchange.stream(1)
        assert world.says() == "stale"


async def test_a_place_in_another_list_or_beyond_the_end(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        with pytest.raises(StatusElsewhere):
            world.says(uri=URI + "2")
        assert world.says(index=SIZE + 4) == "stale"
        world.exchange.delta(stream, 0, 11, [(SIZE + 4, VALID)])  # then its grant is made
        await world.until("valid", SIZE + 4)


async def test_a_clock_that_goes_back_proves_nothing(world):
    async with world.following():
        stream = await world.exchange.stream(0)
        world.exchange.heartbeat(stream, 0)
        await world.until("valid")
        world.clock.now -= 5
        assert world.says() == "stale"


def test_without_a_source_nobody_is_asked():
    check_status(None, object())
