"""What stands before every route: request ids, limits on head, body and time, one log line each."""

import asyncio
import contextlib
import json
import logging
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.errors import BadInput, ExchangeError, Unavailable
from exchange.http import PROBLEM
from exchange.settings import Settings

log_to = logging.getLogger("exchange.access")
UPLOADS = "/v1/files/"
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class BodyTooLarge(BadInput):
    """The body passed its limit while it was read."""

    def __init__(self, limit: int) -> None:
        super().__init__("body_too_large", f"The body is larger than {limit} bytes.", status=413)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within its limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                deadline.reschedule(None)  # a stream may take longer than an answer
                headers = list(message.get("headers", []))
                named = {name for name, _ in headers}
                headers += [header for header in SECURITY if header[0] not in named]
                headers.append((b"x-request-id", request_id.encode()))
                message["headers"] = headers
            await send(message)

        is_upload = scope["path"].startswith(UPLOADS) and scope["method"] == "PUT"
        limit = self._settings.upload_bytes if is_upload else self._settings.body_bytes
        read = 0

        async def listen() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise BodyTooLarge(limit)
            if is_upload and not status:
                deadline.reschedule(asyncio.get_running_loop().time() + seconds)
            return message

        seconds = self._settings.request_seconds
        try:
            async with asyncio.timeout(seconds) as deadline:
                _check_head(scope, self._settings.header_bytes, limit)
                await self._app(scope, listen, answer)
        except ExchangeError as error:
            await _problem(answer, error, request_id, begun=bool(status))
        except TimeoutError:
            slow = Unavailable("too_slow", f"No answer within {seconds:g} seconds.")
            await _problem(answer, slow, request_id, begun=bool(status))
        finally:
            route = scope.get("route")
            log_to.info(
                "request",
                extra={
                    "request_id": request_id,
                    "method": scope["method"] if scope["method"].isalpha() else "?",
                    "route": getattr(route, "path", None),
                    "status": status,
                    "milliseconds": round((time.perf_counter() - started) * 1000, 2),
                    "client_id": scope["state"].get("client_id"),
                },
            )


def _check_head(scope: Scope, header_bytes: int, body_bytes: int) -> None:
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    size += sum(len(name) + len(value) for name, value in scope["headers"])
    if size > header_bytes:
        raise BadInput("head_too_large", "The request's head is too large.", status=431)
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value) > body_bytes):
            raise BodyTooLarge(body_bytes)


async def _problem(send: Send, error: ExchangeError, request_id: str, *, begun: bool) -> None:
    if begun:  # too late for another answer: the connection ends unfinished
        raise error
    body = json.dumps({**error.problem(), "request_id": request_id}).encode()
    headers = [(b"content-type", PROBLEM.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(k.lower().encode(), v.encode()) for k, v in error.headers.items()]
    with contextlib.suppress(OSError):
        await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})
