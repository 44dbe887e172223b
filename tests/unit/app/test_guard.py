"""The guard around the application: what it refuses, and what it makes of whatever goes wrong."""

import asyncio
import json
import logging
from collections.abc import Iterable

import pytest
from starlette.requests import ClientDisconnect

from exchange.errors import Conflict
from exchange.guard import Guard
from exchange.settings import Settings

SETTINGS = Settings(body_bytes=1024, upload_bytes=2048, header_bytes=1024, request_seconds=0.15)


class Answer:
    """What an application sent."""

    def __init__(self) -> None:
        self.messages: list[dict] = []

    async def send(self, message: dict) -> None:
        self.messages.append(dict(message))

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {k.decode(): v.decode() for k, v in self.messages[0]["headers"]}

    def problem(self) -> dict:
        document = json.loads(b"".join(m.get("body", b"") for m in self.messages))
        assert self.headers["content-type"] == "application/problem+json"
        assert int(self.headers["content-length"]) == len(self.messages[1]["body"])
        assert document["status"] == self.status
        assert document["request_id"] == self.headers["x-request-id"]
        assert self.headers["x-content-type-options"] == "nosniff"
        return document


async def visit(
    app,
    pieces: Iterable[bytes | float | None] = (b"",),
    method="POST",
    path="/v1/x",
    headers=(),
    **more,
) -> Answer:
    """Send one request; a number among the pieces is a pause in seconds, None a hang-up."""
    waiting = list(pieces)

    async def receive() -> dict:
        while waiting and isinstance(waiting[0], float):
            await asyncio.sleep(waiting.pop(0))
        if not waiting:
            await asyncio.sleep(60)
        piece = waiting.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    answer = Answer()
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": list(headers),
        **more,
    }
    await Guard(app, SETTINGS)(scope, receive, answer.send)
    return answer


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [("1.1", 0, 400), ("1.1", 1, 200), ("1.1", 2, 400), ("1.0", 0, 200), ("1.0", 2, 400)],
)
async def test_a_request_names_its_host_once(version, hosts, status):
    """RFC 9112 section 3.2."""
    headers = [(b"host", b"exchange.example")] * hosts
    answer = await visit(read_all, headers=headers, http_version=version)
    assert answer.status == status
    if status == 400:
        assert answer.problem()["type"].endswith("host_refused")


async def read_all(scope, receive, send) -> None:
    """An application that reads its body and answers how long it was."""
    read = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        read += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(read).encode()})


def raising(error: Exception, *, begun: bool = False):
    async def app(scope, receive, send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


async def test_a_good_answer_passes_with_its_id():
    answer = await visit(read_all, [b"a" * 1000, b"b" * 24])
    assert (answer.status, answer.messages[1]["body"]) == (200, b"1024")
    assert len(answer.headers["x-request-id"]) == 16


async def test_a_body_that_announces_too_much():
    answer = await visit(read_all, headers=[(b"content-length", b"1025")])
    assert answer.status == 413
    assert answer.problem()["type"].endswith(":body_too_large")


async def test_a_body_that_grows_too_much():
    answer = await visit(read_all, [b"a" * 1000, b"b" * 25])
    assert (answer.status, answer.problem()["status"]) == (413, 413)


async def test_an_upload_has_a_limit_of_its_own():
    put = {"method": "PUT", "path": "/v1/files/a"}
    assert (await visit(read_all, [b"a" * 2048], **put)).status == 200
    assert (await visit(read_all, [b"a" * 2049], **put)).status == 413
    assert (await visit(read_all, [b"a" * 2048], method="POST", path="/v1/files/a")).status == 413
    assert (await visit(read_all, [b"a" * 2048], method="PUT", path="/v1/file")).status == 413


async def test_a_head_too_large():
    answer = await visit(read_all, headers=[(b"x", b"y" * 1024)])
    assert answer.status == 431
    assert answer.problem()["type"].endswith(":head_too_large")


async def test_a_slow_application():
    async def slow(scope, receive, send) -> None:
        await asyncio.sleep(60)

    answer = await visit(slow)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.problem()["type"].endswith(":too_slow")


async def test_an_answer_that_has_begun_may_take_its_time():
    async def stream(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.4)
        await send({"type": "http.response.body", "body": b"late"})

    assert (await visit(stream)).messages[-1]["body"] == b"late"


async def test_a_slow_body():
    answer = await visit(read_all, [b"a", 0.1, b"b", 0.1, b"c"])
    assert answer.status == 408
    assert answer.headers["connection"] == "close"
    assert answer.problem()["type"].endswith(":body_too_slow")


async def test_an_upload_may_take_long_while_it_moves():
    put = {"method": "PUT", "path": "/v1/files/a"}
    moving = [b"a", 0.1, b"b", 0.1, b"c", 0.1, b"d"]
    assert (await visit(read_all, moving, **put)).status == 200
    assert (await visit(read_all, [b"a", 0.3, b"b"], **put)).status == 408


async def test_a_timeout_of_the_applications_own_is_not_the_guards():
    answer = await visit(raising(TimeoutError("inside")))
    assert (answer.status, answer.problem()["type"]) == (500, "urn:exchange:problem:internal")


async def test_a_known_error_and_an_unknown_one(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "exchange")
    known = await visit(raising(Conflict("changed", "It changed.", hint="Read it.")))
    assert (known.status, known.problem()["hint"]) == (409, "Read it.")
    unknown = await visit(raising(RuntimeError("a secret")))
    assert unknown.status == 500
    assert "secret" not in json.dumps(unknown.problem())
    logged = [(r.getMessage(), getattr(r, "status", None)) for r in caplog.records]
    assert logged == [("request", 409), ("unexpected_error", None), ("request", 500)]
    assert caplog.records[1].request_id == caplog.records[2].request_id  # type: ignore[attr-defined]


async def test_an_error_after_the_answer_began_ends_the_connection():
    with pytest.raises(RuntimeError):
        await visit(raising(RuntimeError(), begun=True))
    with pytest.raises(Conflict):
        await visit(raising(Conflict("a", "b"), begun=True))


async def test_a_client_that_goes_away_is_no_error(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "exchange")
    answer = await visit(read_all, [b"a", None])
    assert answer.messages == []
    assert [(r.getMessage(), r.status) for r in caplog.records] == [("request", 499)]


async def test_other_protocols_pass():
    seen = []

    async def app(scope, receive, send) -> None:
        seen.append(scope["type"])

    await Guard(app, SETTINGS)({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]
