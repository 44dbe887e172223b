"""Calls a second through the gateway, what it adds to one, and bytes a second, beside plain nginx.

The same service (nginx, answering from memory) is asked directly, through nginx as a plain reverse
proxy, and through the gateway: token verified, grant looked up, use recorded, its end told. Gateway
and proxy have one core, load generator and service the other; the three take turns in each round.

    python -m tests.benchmarks.bench_gateway [--seconds 3] [--rounds 3] [--mib 512] [--profile]
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

from tests.benchmarks.load import Figures, drive, http_request, median
from tests.benchmarks.profiled import Profiled
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish_service
from tests.support.server import ROOT, ExchangeServer, free_port

CLIENTS = (1, 16)
MIB = 1 << 20
CONF = """
worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000000; sendfile on; tcp_nodelay on;
  upstream service {{ server 127.0.0.1:{service}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port}; root {folder}; {locations} }}
}}
"""
SERVICE = "location /small { return 200 '{}'; }"
PROXY = (
    "location / { proxy_pass http://service; proxy_http_version 1.1; "
    "proxy_set_header Connection ''; proxy_buffering off; }"
)


@contextlib.contextmanager
def nginx(folder: Path, name: str, port: int, service: int, locations: str) -> Iterator[int]:
    """An nginx of one worker; the process's id."""
    conf = folder / f"{name}.conf"
    conf.write_text(
        CONF.format(folder=folder, name=name, port=port, service=service, locations=locations)
    )
    started = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(folder)])
    try:
        time.sleep(0.5)
        yield started.pid
    finally:
        started.terminate()
        started.wait()


def pin(pid: int, core: int) -> None:
    """Give a process, its children and all their threads one core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})
        for child in (task / "children").read_text().split():
            pin(int(child), core)


class Bench:
    """Where each way begins, and a token for the gateway's."""

    def __init__(self, server: ExchangeServer, service: int, proxy: int, process: int) -> None:
        by = operator(server.state)
        platform = join(by, "Platform", ["platform"])
        self.sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
        source = {"max_response_bytes": 1 << 40, "seconds": 3600}
        offering = publish_service(platform, f"http://127.0.0.1:{service}", "GET /*", source=source)
        self.grant = ask(self.sme, offering, actions=["call"])["grant"]["id"]
        call = f"/gateway/grants/{self.grant}/call"
        self.ways = {
            "direct": (service, ""),
            "nginx": (proxy, ""),
            "gateway": (server.port, call),
        }
        self.processes = {"nginx": process, "gateway": server.process.pid}

    def request(self, way: str, path: str) -> tuple[int, bytes]:
        port, prefix = self.ways[way]
        token = self.sme.token(f"grant:{self.grant}")
        return port, http_request("GET", prefix + path, b"", "text/plain", token)


def calls(bench: Bench, seconds: float, rounds: int) -> None:
    for clients in CLIENTS:
        runs: dict[str, list[Figures]] = {way: [] for way in bench.ways}
        used = dict.fromkeys(bench.ways, 0.0)
        for _ in range(rounds):
            for way in bench.ways:
                port, request = bench.request(way, "/small")
                each = [repeat(request) for _ in range(clients)]
                process = bench.processes.get(way)
                before = spent(process) if process else 0.0
                runs[way].append(asyncio.run(drive(port, each, seconds, {200})))
                used[way] += spent(process) - before if process else 0.0
        direct = median(runs["direct"])
        for way, figures in runs.items():
            found = median(figures)
            added = found.p50_ms - direct.p50_ms
            made = sum(run.per_second * seconds for run in figures)
            print(
                f"calls    {way:<8} {clients:>3} clients {found}  added p50 {added:6.2f} ms  "
                f"processor {used[way] * 1000 / made:6.3f} ms a call"
            )


def streams(bench: Bench, mib: int, rounds: int) -> None:
    rates: dict[str, list[float]] = {way: [] for way in bench.ways}
    for _ in range(rounds):
        for way in bench.ways:
            port, request = bench.request(way, "/big")
            began = time.perf_counter()
            asyncio.run(read_all(port, request, mib * MIB))
            rates[way].append(mib / (time.perf_counter() - began))
    beside = statistics.median(rates["nginx"])
    for way, found in rates.items():
        rate = statistics.median(found)
        print(f"stream   {way:<8} {rate:8.0f} MiB/s  {rate / beside:5.2f} of nginx")


async def read_all(port: int, request: bytes, size: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    while size > 0:
        piece = await reader.read(1 << 20)
        assert piece, "cut"
        size -= len(piece)
    writer.close()


def profile(seconds: float) -> None:
    """Print where the processor's time goes in the gateway at 16 clients."""
    with (
        tempfile.TemporaryDirectory() as folder,
        service_in(Path(folder)) as (service, proxy, _),
        Profiled(Path(folder) / "state", log_level="warning") as server,
    ):
        bench = Bench(server, service, proxy, 0)
        port, request = bench.request("gateway", "/small")
        each = [repeat(request) for _ in range(16)]
        asyncio.run(drive(port, each, 1, {200}))
        with server.watched():
            print("profiled", asyncio.run(drive(port, each, seconds, {200})))


def spent(pid: int) -> float:
    """Seconds of the processor that a process and its children have had."""
    ticks = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            ticks += round(spent(int(child)) * os.sysconf("SC_CLK_TCK"))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (ticks + int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def service_in(folder: Path, mib: int = 1) -> Iterator[tuple[int, int, int]]:
    """The service and the proxy: their ports, and the proxy's process."""
    service, proxy = free_port(), free_port()
    with (folder / "big").open("wb") as big:
        for _ in range(mib):
            big.write(os.urandom(MIB))
    folder.chmod(0o755)
    with (
        nginx(folder, "service", service, service, SERVICE) as first,
        nginx(folder, "proxy", proxy, service, PROXY) as second,
    ):
        cores = sorted(os.sched_getaffinity(0))
        pin(first, cores[-1])
        pin(second, cores[0])
        yield service, proxy, second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    if not shutil.which("nginx"):
        print("gateway     skipped: there is no nginx to stand beside")
        return
    if options.profile:
        profile(options.seconds)
        return
    for name, settings in databases(options.only):
        print(f"{name}, load {os.getloadavg()[0]:.1f}", ROOT.name)
        run(options, settings)


def databases(only: str | None) -> Iterator[tuple[str, dict[str, str]]]:
    if only != "postgresql":
        yield "sqlite", {}
    if only != "sqlite":
        from infra.postgres import Postgres, PostgresUnavailable

        try:
            with Postgres() as postgres:
                yield "postgresql", {"database_url": postgres.create_database("bench")}
        except PostgresUnavailable as reason:
            print(f"postgresql  skipped: {reason}")


def run(options: argparse.Namespace, settings: dict[str, str]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        service_in(Path(folder), options.mib) as (service, proxy, process),
        ExchangeServer(Path(folder) / "state", log_level="warning", **settings) as server,
    ):
        bench = Bench(server, service, proxy, process)
        cores = sorted(os.sched_getaffinity(0))
        pin(server.process.pid, cores[0])
        os.sched_setaffinity(0, {cores[-1]})
        try:
            calls(bench, options.seconds, options.rounds)
            streams(bench, options.mib, options.rounds)
        finally:
            os.sched_setaffinity(0, set(cores))


if __name__ == "__main__":
    main()
