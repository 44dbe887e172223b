"""How long a revoked stream goes on: on the worker that was told, and on the other of two.

A file, an object of an S3 store and a call's server-sent events, on PostgreSQL, each alone and read
slowly, so that what is measured is the cut and not the load. In milliseconds, to the end of the
reader's line: from the revocation's answer (below zero where the line ended before that came), and
from its request. Ends with 1 where a median from the answer, when it is revoked, misses its aim.

    python -m tests.benchmarks.bench_revocation [--trials 100] [--mib 256] [--only KIND]
"""

import argparse
import io
import math
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.bench_gateway import databases
from tests.support.actors import SME_ATTRIBUTES, TERMS, ask, join, operator, publish_service
from tests.support.infra import TOOLS
from tests.support.running import Stream, line_to, said
from tests.support.s3 import REGION, MinioStore
from tests.support.server import ExchangeServer
from tests.support.upstream import Came, Upstream, Visit
from tests.support.workers import workers_of
from tests.unit.connectors.served import until

MIB = 1 << 20
AIMS_MS = {"told": 100, "other": 1000}
LINE_SECONDS = 20.0  # how long one is used, of the thirty that the exchange keeps it


async def events(visit: Visit, _came: Came) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
    await visit.send(head + b"\r\n\r\n")
    while True:
        await visit.send(b"9\r\ndata: 1\n\n\r\n", every=0.01)


class Bench:
    """An exchange of two workers, and who is there."""

    def __init__(self, server: ExchangeServer) -> None:
        self.server = server
        by = operator(server.state)
        self.platform = join(by, "Platform", ["platform"])
        self.sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
        self._lines: dict[int, tuple[socket.socket, float]] = {}

    def publish(self, source: dict) -> dict:
        draft = self.platform.post("/v1/offerings", TERMS | {"source": source})
        return self.platform.post(f"/v1/offerings/{draft['id']}/publish")

    def trial(self, offering: dict, actions: list[str], path: str, side: str) -> list[float]:
        """Revoke what runs; milliseconds from the answer and from the request to the line's end."""
        grant = ask(self.sme, offering, actions=actions)["grant"]["id"]
        token, revokes = self.sme.token(f"grant:{grant}"), self.platform.token()
        stream = Stream(self.server, f"/gateway/grants/{grant}/{path}", token)
        try:
            assert stream.status == 200
            others = [pid for pid in workers_of(self.server) if pid != stream.worker]
            line = self._line(stream.worker if side == "told" else others[0])
            time.sleep(random.uniform(0.06, 0.3))
            assert not stream.over.is_set()
            begun = time.perf_counter()
            status, _ = said(line, "POST", f"/v1/grants/{grant}/revoke", revokes)
            answered = time.perf_counter()
            stream.hurry()
            assert status == 200
            assert stream.over.wait(30)
            assert not stream.whole, "it ended before it was cut: it needs more --mib"
            return [(stream.at - answered) * 1000, (stream.at - begun) * 1000]
        finally:
            stream.close()

    def _line(self, worker: int) -> socket.socket:
        line, since = self._lines.pop(worker, (None, 0.0))
        if line is None or time.monotonic() - since > LINE_SECONDS:
            if line is not None:
                line.close()
            line, since = line_to(self.server, worker), time.monotonic()
        self._lines[worker] = line, since
        return line


Made = tuple[dict, list[str], str]


@contextmanager
def file(bench: Bench, mib: int) -> Iterator[Made]:
    pieces = (bytes(MIB) for _ in range(mib))
    bench.platform.request("PUT", "/v1/files/big.bin", content=pieces)
    yield bench.publish({"connector": "files", "path": "big.bin"}), ["read"], "files/big.bin"


@contextmanager
def s3(bench: Bench, mib: int) -> Iterator[Made]:
    with MinioStore() as store:
        bucket = store.bucket()
        store.client().put_object(bucket, "big.bin", io.BytesIO(bytes(mib * MIB)), mib * MIB)
        keys = {"access_key": store.access_key, "secret_key": store.secret_key}
        connection = {"kind": "s3", "name": "Store", "url": store.url, "bucket": bucket}
        connection |= {"region": REGION, "credential": {"kind": "access_key"} | keys}
        made = bench.platform.post("/v1/connections", connection)
        source = {"connector": "s3", "connection": made["id"], "path": "big.bin"}
        yield bench.publish(source), ["read"], "files/big.bin"


@contextmanager
def call(bench: Bench, mib: int) -> Iterator[Made]:
    with Upstream(events) as service:
        yield publish_service(bench.platform, service.url, "GET /*"), ["call"], "call/events"
        until(lambda: not service.open)


KINDS = {"file": file, "s3": s3, "events": call}


def show(kind: str, side: str, found: list[list[float]]) -> bool:
    """Print figures; whether the median from the answer is within the aim."""
    is_met = True
    for since, column in zip(("answer", "request"), zip(*found, strict=True), strict=True):
        ordered = sorted(column)
        p50, p99 = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.99))
        aim = AIMS_MS[side]
        within = sum(each <= aim for each in column)
        is_met &= p50 <= aim or since != "answer"
        print(
            f"revoked  {kind:<7} {side:<6} from the {since:<8} p50 {p50:7.1f} ms  "
            f"p99 {p99:7.1f} ms  max {ordered[-1]:7.1f} ms  {within} of {len(column)} "
            f"within {aim} ms",
            flush=True,
        )
    return is_met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--only", choices=sorted(KINDS))
    options = parser.parse_args()
    missed = []
    for name, settings in databases("postgresql"):
        print(f"{name}, two workers, load {os.getloadavg()[0]:.1f}")
        with (
            tempfile.TemporaryDirectory() as folder,
            ExchangeServer(
                Path(folder) / "state",
                workers="2",
                log_level="warning",
                upload_bytes=str(options.mib * MIB),
                request_seconds="120",
                **settings,
            ) as server,
        ):
            bench = Bench(server)
            for kind in [options.only] if options.only else KINDS:
                if kind == "s3" and not (TOOLS / "minio").exists():
                    print("revoked  s3      skipped: there is no MinIO; run `make infra`")
                    continue
                with KINDS[kind](bench, options.mib) as made:
                    found: dict[str, list[list[float]]] = {side: [] for side in AIMS_MS}
                    for _ in range(options.trials):
                        for side, trials in found.items():
                            trials.append(bench.trial(*made, side))
                    for side, trials in found.items():
                        if not show(kind, side, trials):
                            missed.append(f"{kind} on the {side} worker")
    if missed:
        sys.exit(f"the aim is missed at the median: {', '.join(missed)}")


if __name__ == "__main__":
    main()
