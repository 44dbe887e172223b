"""An OPA server that is gone, stopped, wrong or talks nonsense: no decision, and soon."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from exchange.policy import PolicyError, PolicyUnavailable, load_bundle, open_engine
from exchange.policy.door import PolicyDoor
from exchange.policy.server import TIMEOUT_SECONDS
from tests.support.opa import OpaServer, free_port
from tests.support.policy_inputs import sample

# Ten time-outs: what hangs misses it, and so do fifty that wait in turn; a loaded machine does not.
BOUND_SECONDS = 10 * TIMEOUT_SECONDS
REVISION = load_bundle().revision
PROVENANCE = {"bundles": {"b": {"revision": REVISION}}}
PERMIT = {
    "decision": "permit",
    "reasons": [],
    "remedies": [],
    "obligations": {"days": 30, "sessions": 100},
}


async def unavailable(engine: PolicyDoor) -> PolicyUnavailable:
    """Return the error of a decision that must fail, and in bounded time."""
    start = time.monotonic()
    with pytest.raises(PolicyUnavailable) as caught:
        await engine.decide(sample())
    assert time.monotonic() - start < BOUND_SECONDS
    return caught.value


@pytest.fixture
async def opa(tmp_path: Path) -> AsyncIterator[OpaServer]:
    server = OpaServer().start()
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[PolicyDoor]:
    engine = open_engine("server", opa_url=url)
    try:
        yield engine
    finally:
        await engine.aclose()


@pytest.mark.opa
async def test_killed_and_started_again(opa: OpaServer) -> None:
    async with opened(opa.url) as engine:
        assert (await engine.decide(sample())).outcome == "permit"
        opa.kill()
        for _ in range(3):
            await unavailable(engine)
        opa.start()
        assert (await engine.decide(sample())).outcome == "permit"


@pytest.mark.opa
async def test_stopped_and_continued(opa: OpaServer) -> None:
    async with opened(opa.url) as engine:
        assert (await engine.decide(sample())).outcome == "permit"
        opa.signal(signal.SIGSTOP)
        assert "Timeout" in str(await unavailable(engine))
        # Many at once wait no longer than one.
        start = time.monotonic()
        waiting = [engine.decide(sample()) for _ in range(50)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert time.monotonic() - start < BOUND_SECONDS
        assert {type(result) for result in results} == {PolicyUnavailable}
        opa.signal(signal.SIGCONT)
        assert (await engine.decide(sample())).outcome == "permit"


@pytest.mark.opa
async def test_other_policies_are_not_trusted(tmp_path: Path) -> None:
    rule = 'package exchange\n\ndecision := {"decision": "permit", "reasons": [], "remedies": [], '
    rule += '"obligations": {"days": 1}}\n'
    (tmp_path / "rule.rego").write_text(rule)
    server = OpaServer(tmp_path).start()
    try:
        async with opened(server.url) as engine:
            assert "other policies" in str(await unavailable(engine))
    finally:
        server.stop()


async def test_nobody_listens() -> None:
    async with opened(f"http://127.0.0.1:{free_port()}") as engine:
        await unavailable(engine)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8181", "ftp://opa", "http://", "http://h/path"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(PolicyError, match="EXCHANGE_OPA_URL"):
        open_engine("server", opa_url=url)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answers(body: bytes, status: str = "200 OK", kind: str = "application/json") -> Talk:
    """Return a server that answers each connection with this body."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    return talk


def raw(*parts: bytes, pause: float = 0.0, close: bool = True) -> Talk:
    """Return a server that writes these bytes, with pauses between them."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause)
        if close:
            writer.close()

    return talk


def result(value: object, provenance: object = PROVENANCE) -> Talk:
    return answers(json.dumps({"result": value, "provenance": provenance}).encode())


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GARBAGE: dict[str, Talk] = {
    "closes": raw(),
    "silent": raw(close=False),
    "not HTTP": raw(b"220 mail.example ESMTP\r\n"),
    "binary": raw(bytes(range(256)) * 64),
    "cut": raw(HEAD + b'Content-Length: 500\r\n\r\n{"result": '),
    "drips": raw(HEAD + b"Content-Length: 500\r\n\r\n", *[b" "] * 40, pause=0.05, close=False),
    "endless": raw(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 500, pause=0.01
    ),
    "500": answers(b'{"code":"internal_error","message":"x"}', "500 Internal Server Error"),
    "404": answers(b"{}", "404 Not Found"),
    "redirect": raw(b"HTTP/1.1 307 Go\r\nLocation: /v1/data\r\nContent-Length: 0\r\n\r\n"),
    "HTML": answers(b"<html>welcome</html>", kind="text/html"),
    "HTML as JSON": answers(b"<html>welcome</html>"),
    "not UTF-8": answers(b'{"result": "\xff\xfe"}'),
    "empty": answers(b""),
    "no result": answers(json.dumps({"provenance": PROVENANCE}).encode()),
    "a list": answers(b"[]"),
    "null": answers(b"null"),
    "deep": answers(b"[" * 200_000),
    "result true": result(True),
    "result null": result(None),
    "no obligations": result({**PERMIT, "obligations": {}}),
    "unknown obligation": result({**PERMIT, "obligations": {"days": 30, "dance": 1}}),
    "days as text": result({**PERMIT, "obligations": {"days": "30"}}),
    "days as true": result({**PERMIT, "obligations": {"days": True}}),
    "extra member": result({**PERMIT, "allow": True}),
    "unknown outcome": result({**PERMIT, "decision": "allow"}),
    "permit with a reason": result({**PERMIT, "reasons": [{"code": "x", "params": {}}]}),
    "deny without a reason": result({**PERMIT, "decision": "deny", "obligations": {}}),
    "no provenance": result(PERMIT, None),
    "another revision": result(PERMIT, {"bundles": {"b": {"revision": "sha256:00"}}}),
    "two revisions": result(PERMIT, {"bundles": {"b": {"revision": REVISION}, "c": {}}}),
    "provenance a list": result(PERMIT, {"bundles": [REVISION]}),
}


@contextlib.asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[str]:
    open_writers = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in open_writers:
            writer.close()


async def test_the_garbage_server_can_tell_the_truth() -> None:
    """The same server with a right answer is believed: what follows fails for its content."""
    async with serving(result(PERMIT)) as url, opened(url) as engine:
        assert (await engine.decide(sample())).outcome == "permit"


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage(kind: str) -> None:
    async with serving(GARBAGE[kind]) as url, opened(url) as engine:
        await unavailable(engine)


async def test_a_failed_request_is_not_repeated() -> None:
    asked = 0

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

    async with serving(talk) as url, opened(url) as engine:
        await unavailable(engine)
    assert asked == 1
