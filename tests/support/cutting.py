"""A line to an exchange that is cut at chosen bytes, or loses an answer."""

import re
import select
import socket
import threading


class CuttingLine:
    """A proxy on loopback, at `url`; `leads_to` is the exchange's port.

    `cuts` are how many bytes go up until the line is cut, again and again; where `holds` is set the
    line stands still there until `release`. The answers to requests that begin with one of `loses`
    are lost, each once. `offsets` is what the heads of uploads said.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.leads_to = 0
        self.cuts: list[int] = []
        self.loses: list[bytes] = []
        self.holds = False
        self.held, self.released = threading.Event(), threading.Event()
        self.offsets: list[int] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_after(self, count: int) -> None:
        """Let so many bytes go up, then stand still."""
        self.held.clear()
        self.released.clear()
        self.cuts, self.holds = [count], True

    def release(self) -> None:
        """Cut what stands still."""
        self.holds = False
        self.released.set()

    def close(self) -> None:
        self.release()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=[client], daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", self.leads_to))
            except OSError:
                return
            with server:
                try:
                    self._relay(client, server)
                except OSError:
                    return

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        losing = False
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                if source is client:
                    losing = losing or self._is_lost(data)
                    if not self._up(data, server):
                        return
                elif losing:
                    return
                else:
                    client.sendall(data)

    def _is_lost(self, data: bytes) -> bool:
        for each in self.loses:
            if data.startswith(each):
                self.loses.remove(each)
                return True
        return False

    def _up(self, data: bytes, server: socket.socket) -> bool:
        """Pass on what may pass; return False where the line is cut."""
        with self._lock:
            passing = data[: self.cuts[0]] if self.cuts else data
            found = re.findall(rb"(?i)^upload-offset: *(\d+)\r$", passing, re.MULTILINE)
            self.offsets += map(int, found if data.startswith(b"PATCH ") else ())
            cut = bool(self.cuts) and len(data) >= self.cuts[0]
            if cut:
                self.cuts.pop(0)
            elif self.cuts:
                self.cuts[0] -= len(data)
        server.sendall(passing)
        if cut and self.holds:
            self.held.set()
            assert self.released.wait(60)
        return not cut
