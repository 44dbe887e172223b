"""The sample platform's service: statistics of its flights by DuckDB, called through the gateway.

    GET  /stats/delays?by=carrier|origin|destination|month|hour [&month=1..12] [&origin=JFK] …
    GET  /stats/stream?by=month        the same rows as server-sent events, one by one
    POST /query                        {"measures": [...], "by": [...], "where": {...}, "limit": N}

A plain ASGI application of the platform's own: it knows nothing of the exchange but the credential
that it was given, and the ids of grant and use, which it logs. Callers name columns and measures of
a closed set and values for them; no SQL of theirs is run.
"""

import asyncio
import hmac
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from exchange.errors import StartUpError

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

KEY_HEADER: Final = "X-Api-Key"
RULES: Final = ("GET /stats/*", "POST /query")
"""Which calls an offering of it allows."""

COLUMNS: Final = {
    "carrier": "carrier",
    "destination": "dest",
    "hour": "CAST(hour AS INTEGER)",
    "month": "CAST(month AS INTEGER)",
    "origin": "origin",
}
MEASURES: Final = {
    "flights": "count(*)",
    "cancelled": "count(*) FILTER (dep_time IS NULL)",
    "late": "count(*) FILTER (dep_delay > 15)",
    "mean_delay": "round(avg(dep_delay), 2)",
    "median_delay": "round(median(dep_delay), 2)",
    "longest_delay": "max(dep_delay)",
}
NUMBERS: Final = ("hour", "month")
MOST_ROWS: Final = 1000
MOST_BODY: Final = 16 * 1024


class Unanswerable(Exception):
    """A question that this service does not answer; `status` and the text say why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class FlightsService:
    """The application. `key` lets callers in; `log` gets a line a call, as JSON."""

    def __init__(self, dataset: Path, key: str, log: Path | None = None) -> None:
        """Open the data set; raises StartUpError."""
        try:
            import duckdb
        except ImportError as error:
            raise StartUpError(
                "The package duckdb, which counts the flights, is missing."
            ) from error
        self._database = duckdb.connect(config={"threads": 2})
        self._database.read_parquet(str(dataset)).create("flights")
        self._key, self._log = key.encode("ascii"), log

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        status = 500
        try:
            given = headers.get(KEY_HEADER.lower(), b"")
            if not hmac.compare_digest(given, self._key):
                raise Unanswerable(401, "This needs the platform's key.")
            asked, streamed = await self._asked(scope, receive)
            status = 200
            rows = await asyncio.to_thread(self._rows, *asked)
            await (self._stream if streamed else _answer)(send, 200, rows)
        except Unanswerable as error:
            status = error.status
            await _answer(send, status, {"error": str(error)})
        finally:
            self._note(scope, headers, status)

    async def _asked(self, scope: Message, receive: Receive) -> tuple[tuple[Any, ...], bool]:
        """Read a question: measures, columns, conditions, limit; and whether to stream."""
        call = (scope["method"], scope["path"])
        if call in (("GET", "/stats/delays"), ("GET", "/stats/stream")):
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            by = [query.pop("by", "carrier")]
            limit = query.pop("limit", "100")
            measures = ["flights", "late", "mean_delay"]
            number = int(limit) if limit.isdecimal() else 0
            return _checked(measures, by, query, number), call[1].endswith("stream")
        if call == ("POST", "/query"):
            question = await _read_json(receive)
            return _checked(
                question.get("measures", ["flights"]),
                question.get("by", []),
                question.get("where", {}),
                question.get("limit", 100),
            ), False
        raise Unanswerable(404, "GET /stats/delays, GET /stats/stream and POST /query are here.")

    def _rows(
        self, measures: list[str], by: list[str], where: Mapping[str, Any], limit: int
    ) -> list[dict[str, Any]]:
        names = [*by, *measures]
        chosen = ", ".join(f"{(COLUMNS | MEASURES)[name]} AS {name}" for name in names)
        held = " AND ".join(f"{COLUMNS[name]} = ?" for name in where) or "true"
        order = ", ".join(str(place) for place in range(1, len(by) + 1)) or "1"
        group = f"GROUP BY {order}" if by else ""
        # Only names of the closed sets above are in the text; values are parameters.
        sql = f"SELECT {chosen} FROM flights WHERE {held} {group} ORDER BY {order} LIMIT {limit}"  # noqa: S608
        found = self._database.cursor().execute(sql, list(where.values())).fetchall()
        return [dict(zip(names, row, strict=True)) for row in found]

    async def _stream(self, send: Send, status: int, rows: list[dict[str, Any]]) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for row in rows:
            event = f"data: {json.dumps(row)}\n\n".encode()
            await send({"type": "http.response.body", "body": event, "more_body": True})
            await asyncio.sleep(0.02)  # each as it would be found
        await send({"type": "http.response.body", "body": b""})

    def _note(self, scope: Message, headers: Mapping[str, bytes], status: int) -> None:
        if self._log is None:
            return
        line = {
            "at": round(time.time(), 3),
            "call": f"{scope['method']} {scope['path']}",
            "status": status,
            "grant": headers.get("exchange-grant", b"").decode("latin-1"),
            "use": headers.get("exchange-use", b"").decode("latin-1"),
        }
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def _checked(measures: Any, by: Any, where: Any, limit: Any) -> tuple[Any, ...]:
    """Take names of the closed sets and values of their kind, and nothing else."""
    for given, known, what in ((measures, MEASURES, "measures"), (by, COLUMNS, "by")):
        if not isinstance(given, list) or not all(
            isinstance(each, str) and each in known for each in given
        ):
            raise Unanswerable(422, f"{what} are of {', '.join(known)}.")
    if not measures or len({*measures, *by}) != len(measures) + len(by):
        raise Unanswerable(422, "Ask for at least one measure, and each once.")
    if not isinstance(where, dict) or not where.keys() <= COLUMNS.keys():
        raise Unanswerable(422, f"Conditions are on {', '.join(COLUMNS)}.")
    values: dict[str, Any] = {}
    for name, value in where.items():
        text = str(value)
        if name in NUMBERS:
            if not text.isdecimal() or len(text) > 2:
                raise Unanswerable(422, f"{name} is a number of two digits at most.")
            values[name] = int(text)
        else:
            values[name] = text[:8]
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_ROWS:
        raise Unanswerable(422, f"limit is 1 to {MOST_ROWS}.")
    return measures, by, values, limit


async def _read_json(receive: Receive) -> dict[str, Any]:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
        if len(body) > MOST_BODY:
            raise Unanswerable(413, "A question is short.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Unanswerable(400, "A question is a JSON object.")
    return value


async def _answer(send: Send, status: int, value: Any) -> None:
    body = json.dumps(value if status >= 400 else {"rows": value}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(
    dataset: Path, key: str, log: Path | None = None, listener: socket.socket | None = None
) -> Iterator[str]:
    """Serve it on a free port of this machine, and give its URL; raises StartUpError."""
    import uvicorn

    application = FlightsService(dataset, key, log)
    with listener or socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
