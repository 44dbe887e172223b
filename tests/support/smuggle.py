"""Raw requests to a gateway, and the judgement on what reached the service behind it."""

import json
import socket

from tests.support.called import SECRET, Pair, target

HIDDEN = b"DELETE /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


def send(pair: Pair, data: bytes, *more: bytes) -> list[tuple[int, bytes]]:
    """Send these bytes; every answer that comes until the connection ends or is silent."""
    with socket.create_connection(("127.0.0.1", pair.called.port), timeout=10) as connection:
        connection.sendall(data)
        for each in more:
            connection.sendall(each)
        connection.settimeout(0.5)
        got = b""
        try:
            while piece := connection.recv(1 << 18):
                got += piece
        except (TimeoutError, ConnectionResetError):
            pass
    found = []
    while got:
        head, _, rest = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 "), got[:200]
        status, lower = int(head[9:12]), head.lower()
        size = int(lower.partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        if status >= 200:
            found.append((status, rest[:size]))
        got = rest[size:] if status >= 200 else rest
    return found


def head(pair: Pair, *lines: bytes, method: str = "POST", path: str = "x") -> bytes:
    first = f"{method} {target(path)} HTTP/1.1\r\nHost: gateway.test\r\n"
    bearer = f"Authorization: {pair.called.token}\r\n"
    return (first + bearer).encode() + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def judge(pair: Pair, answers: list[tuple[int, bytes]]) -> None:
    """What came is what was recorded, readable and meant; no answer is a 500."""
    assert pair.upstream.garbage == []
    assert len(pair.upstream.came) <= len(pair.called.door.uses)
    for came in pair.upstream.came:
        assert "hidden" not in came.target
        assert came.method != "DELETE"
        assert came.one("x-api-key") == SECRET
        assert came.one("exchange-use") in pair.called.door.uses
        assert len(came.all("host")) == 1
        assert not {"authorization", "te", "trailer", "upgrade", "connection"} & {
            name for name, _ in came.headers
        }
    for status, body in answers:
        assert status != 500, body
        if status >= 400:
            assert json.loads(body)["type"].startswith("urn:exchange:problem:")


def refused(pair: Pair, data: bytes, *more: bytes) -> None:
    """All of it is refused: nothing reaches the service."""
    answers = send(pair, data, *more)
    judge(pair, answers)
    assert pair.upstream.came == []
    assert answers
    assert {status for status, _ in answers} <= {400, 401, 403, 404, 405, 413, 422, 431}
