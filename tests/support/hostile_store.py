"""A store that answers as it is told, on a socket of its own: what no honest store would."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[bytes, socket.socket], None]


def raw(*parts: bytes) -> Answer:
    """Answer with these very bytes, then close."""

    def answer(head: bytes, connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return answer


def response(status: str, headers: dict[str, str], body: bytes = b"") -> Answer:
    lines = [f"HTTP/1.1 {status}", *(f"{k}: {v}" for k, v in headers.items())]
    if "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return raw("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)


@contextlib.contextmanager
def hostile_store(
    answer: Answer, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """Serve on a free port of loopback; give the port, and the heads of all requests."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads: list[bytes] = []
    ending = threading.Event()

    def serve() -> None:
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with contextlib.ExitStack() as opened, contextlib.suppress(OSError):
            connection = opened.enter_context(connection)
            connection.settimeout(30)
            if tls is not None:
                connection = opened.enter_context(tls.wrap_socket(connection, server_side=True))
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(65536)
                if not more:
                    return
                head += more
            heads.append(head)
            answer(head, connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1], heads
    finally:
        ending.set()
        listener.close()
