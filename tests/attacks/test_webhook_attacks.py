"""Receivers that would hold the exchange up, and people who would steer others' webhooks."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from exchange.errors import BadInput, Forbidden, NotFound
from exchange.webhooks.change_webhook import pause_webhook, redeliver, resume_webhook
from exchange.webhooks.deliver import Deliverer
from exchange.webhooks.register_webhook import register_webhook, remove_webhook
from exchange.webhooks.send import MessageKey, Sender
from tests.support.desk import open_world
from tests.support.ledgers import open_exchange
from tests.support.receiver import Receiver


class Rude:
    """A server that reads a request and then does to the connection what it is told."""

    def __init__(self, act) -> None:
        self.act, self.came, self.sent = act, 0, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/hook"

    def __enter__(self) -> "Rude":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            self.came += 1
            for piece in self.act():
                connection.sendall(piece)
                self.sent += len(piece)


@contextlib.asynccontextmanager
async def world_on(database, allow="127.0.0.1"):
    async with open_exchange(database, webhook_allow=allow) as parts:
        yield await open_world(parts)


async def hook(world, caller, url):
    parts = world.parts
    return await register_webhook(
        parts.webhooks, parts.participants, parts.webhook_allow, caller, url
    )


async def send(world, url, seconds=2.0):
    """One attempt by a sender of its own; what went wrong, and how long it took."""
    sender = Sender(
        MessageKey(lambda: world.parts.token_keys.signing),
        world.parts.webhook_allow,
        total_seconds=seconds,
    )
    started = time.monotonic()
    try:
        return await sender.send(url, b"{}", "d", 0), time.monotonic() - started
    finally:
        await sender.aclose()


def dripping():
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        time.sleep(0.2)
        yield b"x-drip: 1\r\n"


def endless():
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


def endless_head():
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"x-" + b"y" * 65536 + b": 1\r\n"


@pytest.mark.sqlite
async def test_a_slow_drip_ends_with_the_attempts_time(sqlite):
    async with world_on(sqlite) as world:
        with Rude(dripping) as receiver:
            wrong, took = await send(world, receiver.url)
            assert wrong == "timed_out"
            assert took < 4


@pytest.mark.sqlite
async def test_an_endless_answer_is_not_read_to_its_end(sqlite):
    async with world_on(sqlite) as world:
        with Rude(endless) as receiver:
            wrong, took = await send(world, receiver.url, 8.0)
            assert wrong is None  # its status said that the delivery was taken
            assert took < 6
        with Rude(endless_head) as receiver:
            wrong, _ = await send(world, receiver.url, 8.0)
            assert wrong == "not_reached"
            assert receiver.sent < 20_000_000


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 20 OK\r\n\r\n", b"\x16\x03\x01"],
)
async def test_a_broken_answer_is_a_failure(sqlite, answer):
    async with world_on(sqlite) as world:
        with Rude(lambda: [answer]) as receiver:
            wrong, _ = await send(world, receiver.url)
            assert wrong == "not_reached"


@pytest.mark.sqlite
async def test_proxies_of_the_environment_are_not_asked(sqlite, monkeypatch):
    async with world_on(sqlite) as world:
        with Receiver() as proxy, Receiver() as receiver:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, proxy.origin)
            wrong, _ = await send(world, receiver.url)
            assert wrong is None
            assert (len(receiver.came), proxy.came) == (1, [])


async def test_the_webhook_of_another_is_nobodys_to_see_or_steer(database):
    async with world_on(database) as world:
        with Receiver() as receiver:
            made = await hook(world, world.sme, receiver.url)
            store = world.parts.webhooks
            for stranger in (world.platform, world.operator):
                for act in (
                    lambda who: store.own(made.id, who),
                    lambda who: pause_webhook(store, who, made.id),
                    lambda who: resume_webhook(store, who, made.id),
                    lambda who: redeliver(store, who, made.id, 0),
                    lambda who: remove_webhook(store, who, made.id),
                ):
                    with pytest.raises(NotFound):
                        await act(stranger)
            auditor = await world.member(world.sme.org_id, "auditor")
            with pytest.raises(Forbidden):
                await hook(world, auditor, receiver.url)
            with pytest.raises(Forbidden):
                await redeliver(store, auditor, made.id, 0)


async def test_a_webhook_gets_nothing_of_what_concerns_others(database):
    async with world_on(database) as world:
        rival = await world.join("platform")
        with Receiver() as receiver:
            made = await hook(world, rival, receiver.url)
            await redeliver(world.parts.webhooks, rival, made.id, 0)
            await world.ask()
            await world.set_attribute(rival.org_id, "headcount", 3)
            size = await world.parts.ledger.size()
            async with asyncio.timeout(20):
                while not any(d.index == size - 1 for d in receiver.taken):
                    await asyncio.sleep(0.05)
            assert all(rival.org_id in d.body.decode() for d in receiver.taken)


@pytest.mark.sqlite
async def test_a_name_that_none_can_be_is_not_registered(sqlite):
    async with world_on(sqlite, "*.example.com") as world:
        for host in ("a" * 64 + ".example.com", "a..example.com"):
            with pytest.raises(BadInput):
                await hook(world, world.sme, f"https://{host}/")


@pytest.mark.sqlite
async def test_a_resolver_that_fails_is_counted_and_waited_for(sqlite):
    """It is a failure like another: counted, waited for, and in the end the webhook pauses."""
    async with world_on(sqlite, "a.example.com") as world:
        parts = world.parts

        async def resolve(host, port):
            raise UnicodeError("label too long")

        sender = Sender(
            MessageKey(lambda: parts.token_keys.signing), parts.webhook_allow, resolve=resolve
        )
        made = await hook(world, world.sme, "https://a.example.com/")
        running = asyncio.create_task(Deliverer(parts.webhooks, parts.participants, sender).run())
        try:
            async with asyncio.timeout(20):
                while not (found := await parts.webhooks.webhook(made.id)).failures:
                    await asyncio.sleep(0.05)
            assert found.next_try_ms > 0
            assert found.last_error == "not_reached"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
