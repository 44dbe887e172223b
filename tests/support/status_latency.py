"""From a revocation to its refusal at a gateway over HTTP, under calls: trials and figures."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from exchange.client.profile import create_profile
from tests.benchmarks.load import http_request
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.server import ROOT, ExchangeServer, free_port
from tests.support.status_gateway import Link, http_gateway

CALLERS = 8


@dataclass
class Load:
    """Calls at a steady rate, spread over a few connections; what they were answered."""

    port: int
    request: bytes
    per_second: float
    done: int = 0
    seconds: float = 0.0
    late: int = 0
    wrong: list[int] = field(default_factory=list)

    async def run(self) -> None:
        begun = time.perf_counter()
        try:
            await asyncio.gather(*(self._caller(n) for n in range(CALLERS)))
        finally:
            self.seconds = time.perf_counter() - begun

    async def _caller(self, number: int) -> None:
        line = await Line.to(self.port)
        every = CALLERS / self.per_second
        due = time.perf_counter() + every * number / CALLERS
        while True:
            now = time.perf_counter()
            if now < due:
                await asyncio.sleep(due - now)
            elif now - due > 0.5:  # what cannot be kept up with is not caught up with
                self.late += 1
                due = now
            due += every
            status = await line.ask(self.request)
            self.done += 1
            if status != 200:
                self.wrong.append(status)


class Line:
    """One connection that stays."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> "Line":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> int:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        at = lowered.index(b"content-length:") + 15
        await self._reader.readexactly(int(lowered[at : lowered.index(b"\r\n", at)]))
        return int(head[9:12])


class Bench:
    """An exchange, a gateway in a process of its own, and grants to revoke."""

    def __init__(self, server: ExchangeServer, folder: Path) -> None:
        by = operator(server.state)
        self.server = server
        self.platform = join(by, "Platform", ["platform"])
        self.sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
        self.profile = folder / "platform.json"
        create_profile(self.profile, self.platform.profile)
        self.port = free_port()
        self.offerings = [publish(self.platform) for _ in range(2)]

    def granted(self, number: int = 0) -> tuple[str, bytes]:
        """A grant, and the request to the gateway under it; after a revoked one another."""
        grant = ask(self.sme, self.offerings[number])["grant"]["id"]
        return grant, self.asking(grant)

    def asking(self, grant: str) -> bytes:
        """The request to the gateway under a grant, with a token that lives on for a while."""
        token = self.sme.token(f"grant:{grant}")
        return http_request("GET", f"/grants/{grant}", b"", "text/plain", token)

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[None]:
        module = [sys.executable, "-m", "tests.support.status_gateway"]
        process = subprocess.Popen([*module, str(self.profile), str(self.port)], cwd=ROOT)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    line = await Line.to(self.port)
                except OSError:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.1)
                else:
                    assert await line.ask(http_request("GET", "/grants/x", b"", "x")) == 401
                    break
            yield
        finally:
            process.terminate()
            process.wait(20)

    async def trial(self, http: httpx.AsyncClient, line: Line) -> tuple[float, float]:
        """Revoke a grant; seconds from the request and from its answer to the first refusal."""
        grant, request = await asyncio.to_thread(self.granted)
        assert await line.ask(request) == 200
        token = await asyncio.to_thread(self.platform.token)
        refused = asyncio.create_task(_until_refused(line, request))
        begun = time.perf_counter()
        answer = await http.post(
            f"/v1/grants/{grant}/revoke", headers={"Authorization": f"Bearer {token}"}, json={}
        )
        answered = time.perf_counter()
        assert answer.status_code == 200, answer.text
        at = await asyncio.wait_for(refused, 15)
        return at - begun, max(0.0, at - answered)

    async def run(self, trials: int, per_second: float) -> tuple[list[tuple[float, float]], Load]:
        """Play trials under calls of another grant; what each took, and the calls."""
        grant, request = await asyncio.to_thread(self.granted, 1)
        found = []
        async with (
            self.gateway(),
            httpx.AsyncClient(base_url=self.server.url, trust_env=False, timeout=30) as http,
        ):
            line, load = await Line.to(self.port), Load(self.port, request, per_second)
            calling = asyncio.create_task(load.run())
            for number in range(trials):
                found.append(await self.trial(http, line))
                load.request = await asyncio.to_thread(self.asking, grant)
                if calling.done():
                    calling.result()
                if (number + 1) % 50 == 0:
                    print(f"{number + 1} trials", flush=True)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        return found, load

    async def cuts(self, count: int) -> list[tuple[float, float]]:
        """Cut the line and mend it; seconds until the gateway closed, and until it opened."""
        sme = self.sme
        grant, _ = await asyncio.to_thread(self.granted, 1)
        found = []
        profile = self.platform.profile
        async with (
            Link(self.server.port) as link,
            http_gateway(profile, port=link.port) as gateway,
        ):

            async def until(wanted: str) -> float:
                begun = time.perf_counter()
                while True:
                    token = await asyncio.to_thread(sme.token, f"grant:{grant}")
                    if (says := await gateway.says(grant, token)) == wanted:
                        return time.perf_counter() - begun
                    assert says in ("ok", "status_stale"), says
                    await asyncio.sleep(0.005)

            await until("ok")
            for _ in range(count):
                link.cut()
                closed = await until("status_stale")
                await asyncio.sleep(1)
                link.mend()
                found.append((closed, await until("ok")))
        return found


async def _until_refused(line: Line, request: bytes) -> float:
    """Ask again and again, some 200 times a second; the moment of the first refusal."""
    while True:
        status = await line.ask(request)
        if status == 403:
            return time.perf_counter()
        assert status == 200, status
        await asyncio.sleep(0.004)
