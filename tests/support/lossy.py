"""A wire to PostgreSQL that loses the answer to a COMMIT: done there, unknown here."""

import select
import socket
import threading

READY = b"Z\x00\x00\x00\x05"  # ReadyForQuery: what ends every answer


class LossyWire:
    """A proxy on loopback. `lose(n)` cuts the connection in place of the answer to the n-th
    COMMIT from then on; `lost` counts."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._countdown = 0
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, nth: int = 1) -> None:
        self._countdown = nth

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=[client], daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    try:
                        data = source.recv(65536)
                    except OSError:
                        return
                    if not data:
                        return
                    if source is client and b"COMMIT\0" in data and self._is_next():
                        server.sendall(data)
                        while READY not in server.recv(65536):
                            pass
                        self.lost += 1
                        return
                    (server if source is client else client).sendall(data)

    def _is_next(self) -> bool:
        self._countdown -= 1
        return self._countdown == 0
