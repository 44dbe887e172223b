"""What stands before every route: request ids, limits on head, body and time, one log line each."""

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange.errors import BadInput, ExchangeError, Unavailable
from exchange.http import PROBLEM
from exchange.settings import Settings

Header = tuple[bytes, bytes]
log_to = logging.getLogger("exchange.access")
UPLOADS = {"PUT": "/v1/files/", "PATCH": "/v1/uploads/"}
CALL = re.compile("/gateway/grants/[^/]+/call/")
OF_TOKENS = ("claimed_client_id", "code", "address")  # left by a refused request at /oauth/
GONE = 499  # in the log only: the client went away before there was an answer
SECURITY_HEADERS = [
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
        if scope["type"] == "http":
            await _Visit(self._settings, scope, receive, send).serve(self._app)
        else:
            await self._app(scope, receive, send)


class _Visit:
    """One request: how much of it was read, whether an answer has begun, until when it may take."""

    def __init__(self, settings: Settings, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._seconds, self._head_limit = settings.request_seconds, settings.header_bytes
        uploads = UPLOADS.get(scope["method"])
        self._is_upload = uploads is not None and scope["path"].startswith(uploads)
        self._limit = settings.upload_bytes if self._is_upload else settings.body_bytes
        self._is_call = CALL.match(scope["path"]) is not None
        if self._is_call:
            self._limit = settings.call_bytes
        self._id = secrets.token_hex(8)
        self._status = 0
        self._read = 0
        self._listening = False
        self._deadline: asyncio.Timeout | None = None
        scope.setdefault("state", {})["request_id"] = self._id

    async def serve(self, app: ASGIApp) -> None:
        """Run the application; whatever it raises becomes a problem document here."""
        started = time.perf_counter()
        try:
            refusal = await self._run(app)
            if refusal is not None:
                await self._refuse(refusal)
        except ClientDisconnect:
            self._status = self._status or GONE
        finally:
            self._log(time.perf_counter() - started)

    async def _run(self, app: ASGIApp) -> ExchangeError | None:
        """Return what to refuse with; raises what came too late for another answer."""
        try:
            async with asyncio.timeout(self._seconds) as self._deadline:
                self._check_head()
                await app(self._scope, self._listen, self._answer)
        except ClientDisconnect:
            raise
        except Exception as error:
            if self._status:  # an answer has begun: the connection ends unfinished
                raise
            if isinstance(error, ExchangeError):
                return error
            if isinstance(error, TimeoutError) and self._deadline and self._deadline.expired():
                return self._too_slow()
            extra = {"request_id": self._id}
            logging.getLogger("exchange").error("unexpected_error", exc_info=error, extra=extra)
            return ExchangeError("internal", "Something broke here; the operator can find out why.")
        finally:
            self._deadline = None
        return None

    def _check_head(self) -> None:
        scope = self._scope
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        size += sum(len(name) + len(value) for name, value in scope["headers"])
        if size > self._head_limit:
            raise head_too_large()
        hosts = sum(name == b"host" for name, _ in scope["headers"])
        if hosts > 1 or (hosts == 0 and scope.get("http_version") == "1.1"):  # RFC 9112 section 3.2
            raise BadInput("host_refused", "A request names its host once.")
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > self._limit):
                raise BodyTooLarge(self._limit)

    async def _listen(self) -> Message:
        self._listening = True
        if self._is_call and self._deadline and not self._status:
            self._deadline.reschedule(None)  # from here the offering's own time counts
        message = await self._receive()
        self._listening = bool(message.get("more_body"))
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            raise BodyTooLarge(self._limit)
        if self._is_upload and self._deadline and not self._status:  # it moves
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)
        return message

    async def _answer(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._deadline:
                self._deadline.reschedule(None)  # a stream may take longer than an answer
            headers = list(message.get("headers", []))
            named = {name for name, _ in headers}
            headers += [header for header in SECURITY_HEADERS if header[0] not in named]
            headers.append((b"x-request-id", self._id.encode()))
            nonce = self._scope["state"].get("dpop_nonce")
            if nonce is not None and b"dpop-nonce" not in named:  # RFC 9449 section 8.2
                headers.append((b"dpop-nonce", nonce.encode()))
            message["headers"] = headers
        await self._send(message)

    async def _refuse(self, error: ExchangeError) -> None:
        headers, body = problem_answer(error, self._id)
        with contextlib.suppress(OSError):
            start = {"type": "http.response.start", "status": error.status_code}
            await self._answer({**start, "headers": headers})
            await self._answer({"type": "http.response.body", "body": body})

    def _too_slow(self) -> ExchangeError:
        if self._listening:
            return BadInput(
                "body_too_slow",
                f"The body took more than {self._seconds:g} seconds.",
                status=408,
                headers={"Connection": "close"},
            )
        return Unavailable(
            "too_slow",
            f"No answer within {self._seconds:g} seconds.",
            hint="It may still be carried out: ask again, a write with the same Idempotency-Key.",
        )

    def _log(self, seconds: float) -> None:
        scope = self._scope
        line = {
            "request_id": self._id,
            "method": scope["method"] if scope["method"].isalpha() else "?",
            "route": getattr(scope.get("route"), "path", None),
            "status": self._status,
            "milliseconds": round(seconds * 1000, 2),
            "client_id": scope["state"].get("client_id"),
            **{name: scope["state"][name] for name in OF_TOKENS if name in scope["state"]},
        }
        log_to.info("request", extra=line)


def head_too_large() -> BadInput:
    """Return the refusal of a head beyond its limit."""
    return BadInput("head_too_large", "The request's head is too large.", status=431)


def problem_answer(error: ExchangeError, request_id: str) -> tuple[list[Header], bytes]:
    """Write a problem document, its headers and its body, without a framework."""
    body = json.dumps({**error.problem(), "request_id": request_id}).encode()
    headers = [
        (b"content-type", PROBLEM.encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    return headers + [(k.lower().encode(), v.encode()) for k, v in error.headers.items()], body
