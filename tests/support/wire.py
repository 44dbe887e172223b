"""HTTP as bytes on a socket, for what no client library would send."""

import json
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Raw:
    """One response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self, status: int, code: str) -> dict:
        """Demand a problem document of this status and code."""
        assert self.status == status, (self.status, self.body[:500])
        assert self.headers["content-type"] == "application/problem+json", self.headers
        document = json.loads(self.body)
        assert document["type"] == f"urn:exchange:problem:{code}", document
        assert document["status"] == status
        return document


def connect(port: int, timeout: float = 15) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def talk(port: int, data: bytes, *, has_body: bool = True) -> Raw:
    """Send these bytes and read one response."""
    with connect(port) as connection:
        connection.sendall(data)
        return read_response(connection, has_body=has_body)


def read_response(connection: socket.socket, *, has_body: bool = True) -> Raw:
    """Read one response with a Content-Length, or until the other side closes."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"closed before an answer: {data[:200]!r}")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines[1:]]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    wanted = int(headers.get("content-length", "0"))
    while has_body and len(body) < wanted:
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    return Raw(int(lines[0].split()[1]), headers, body)


def is_closed(connection: socket.socket, within: float) -> bool:
    """Whether the other side closes within so many seconds."""
    connection.settimeout(within)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def head(method: str, path: str, *lines: str, host: str = "127.0.0.1") -> bytes:
    """A request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode(
        "latin-1"
    )
