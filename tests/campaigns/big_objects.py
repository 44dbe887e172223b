"""A 2 GiB object from MinIO through the gateway: memory, rate beside a direct download, a kill.

    python -m tests.campaigns.big_objects [--mib 2048] [--rounds 3]

Prints the server's resident memory before, after and at its most, and the rates of streamed and
redirected downloads as shares of a direct presigned one in the same run (aims: 0.6 and 0.95). Then
MinIO is killed in the middle of a download: the reader's line breaks, the next request is refused
in words, and once MinIO is back a range goes on. Leaves with 1 where something does not hold.
"""

import argparse
import hashlib
import os
import socket
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from exchange.client import transfer
from exchange.client.session import Session
from tests.support.actors import SME_ATTRIBUTES, TERMS, ask, join, operator
from tests.support.s3 import REGION, MinioStore
from tests.support.server import ExchangeServer

PIECE = 1 << 20
GROWTH_MIB = 96  # what a server may grow by while it delivers, whatever the object's size
STREAMED, REDIRECTED = 0.6, 0.95


class Source:
    """A big object that is made while it is read."""

    def __init__(self, size: int) -> None:
        self.left, self.digest = size, hashlib.sha256()
        self._block = os.urandom(PIECE)

    def read(self, count: int = -1) -> bytes:
        piece = self._block[: min(count if count >= 0 else self.left, self.left, PIECE)]
        self.left -= len(piece)
        self.digest.update(piece)
        return piece


def rss_mib(pid: int, field: str = "VmRSS") -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(field)


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def rate(url: str, size: int, headers: dict[str, str]) -> float:
    """Download and throw away; bytes a second. A redirect is followed as the client does.

    By a socket, since a Python client would be slower than what is measured.
    """
    began = time.perf_counter()
    status, got, place = fetch(url, headers)
    if status == 307:
        status, got, _ = fetch(place, {})
    assert (status, got) == (200, size)
    return size / (time.perf_counter() - began)


def fetch(url: str, headers: dict[str, str]) -> tuple[int, int, str]:
    """Status, length of the body, Location."""
    parts, view = urlsplit(url), memoryview(bytearray(PIECE))
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=120) as line:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        data = b""
        while b"\r\n\r\n" not in data:
            more = line.recv(65536)
            assert more, data
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        found = {
            name.strip().lower(): value.strip()
            for name, _, value in (each.partition(":") for each in head.decode().split("\r\n"))
        }
        got = len(rest)
        while count := line.recv_into(view):
            got += count
    return int(head.split()[1]), got, found.get("location", "")


def publish(platform: Session, connection: str, delivery: str) -> dict:
    source = {"connector": "s3", "connection": connection, "path": "big/", "delivery": delivery}
    draft = platform.post("/v1/offerings", TERMS | {"source": source, "title_en": delivery})
    return platform.post(f"/v1/offerings/{draft['id']}/publish")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    size = chosen.mib << 20
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder, MinioStore() as store:
        allowed = f"127.0.0.1:{store.port}"
        settings = {"upstream_allow": allowed, "request_seconds": "120"}
        with ExchangeServer(Path(folder) / "state", **settings) as server:
            run(Path(folder), store, server, size, chosen.rounds, failures)
    for each in failures:
        print(f"✗  {each}")
    return 1 if failures else 0


def run(
    folder: Path,
    store: MinioStore,
    server: ExchangeServer,
    size: int,
    rounds: int,
    failures: list[str],
) -> None:
    bucket, content = store.bucket(), Source(size)
    store.client().put_object(bucket, "big/big.bin", content, size, part_size=64 << 20)
    by = operator(server.state)
    platform, sme = (
        join(by, "Platform", ["platform"]),
        join(by, "Small", ["sme"], SME_ATTRIBUTES),
    )
    keys = {"access_key": store.access_key, "secret_key": store.secret_key}
    wanted = {"kind": "s3", "name": "Store", "url": store.url, "bucket": bucket, "region": REGION}
    wanted["credential"] = {"kind": "access_key", **keys}
    connection = platform.post("/v1/connections", wanted)["id"]
    platform.http.timeout = httpx.Timeout(180)
    began = time.perf_counter()
    published = {d: publish(platform, connection, d) for d in ("stream", "redirect")}
    print(f"published and hashed, once: {time.perf_counter() - began:.1f} s")
    grants = {d: ask(sme, each)["grant"]["id"] for d, each in published.items()}
    (item,) = published["stream"]["objects"]
    assert item["sha256"] == content.digest.hexdigest()
    assert server.process is not None
    pid = server.process.pid

    def gateway(delivery: str) -> tuple[str, dict[str, str]]:
        grant = grants[delivery]
        headers = {"Authorization": f"Bearer {sme.token(f'grant:{grant}')}"}
        return f"{server.url}/gateway/grants/{grant}/files/big.bin", headers

    def direct() -> tuple[str, dict[str, str]]:
        client = store.client()
        return client.presigned_get_object(bucket, "big/big.bin", timedelta(seconds=60)), {}

    rates: dict[str, list[float]] = {"direct": [], "stream": [], "redirect": []}
    url, headers = gateway("stream")
    rate(url, size, headers)  # warm
    before = rss_mib(pid)
    reset_peak(pid)
    for _ in range(rounds):
        for name in rates:
            url, headers = direct() if name == "direct" else gateway(name)
            rates[name].append(rate(url, size, headers))
    after, most = rss_mib(pid), rss_mib(pid, "VmHWM")
    print(f"resident: before {before:.0f} MiB, after {after:.0f} MiB, most {most:.0f} MiB")
    if most - before > GROWTH_MIB:
        failures.append(f"memory grew by {most - before:.0f} MiB")
    # Whoever else uses the machine slows a round down, and never speeds one up.
    best = {name: max(each) for name, each in rates.items()}
    for name, each in rates.items():
        middle = statistics.median(each)
        print(
            f"{name:9} best {best[name] / 1e6:5.0f} MB/s, {best[name] / best['direct']:.2f} of "
            f"direct; median {middle / 1e6:5.0f} MB/s"
        )
    for name, aim in (("stream", STREAMED), ("redirect", REDIRECTED)):
        if best[name] / best["direct"] < aim:
            failures.append(f"{name}: {best[name] / best['direct']:.2f} of direct, aim {aim}")
    killed(folder, store, sme, grants["stream"], gateway("stream"), item, failures)


def killed(folder, store, sme, grant, where, item, failures) -> None:
    """The store dies in the middle of a download."""
    url, headers = where
    got, broken = hashlib.sha256(), ""
    count = 0
    try:
        with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
            for piece in answer.iter_raw():
                got.update(piece)
                count += len(piece)
                if count > item["bytes"] // 4 and store.process.poll() is None:
                    store.kill()
    except httpx.HTTPError as error:
        broken = type(error).__name__
    print(f"killed: the line breaks after {count >> 20} MiB: {broken or 'NOT'}")
    if not broken or count >= item["bytes"]:
        failures.append("a killed store was not noticed by the reader")
    refused = httpx.get(url, headers=headers, timeout=60)
    print(f"while it is away: {refused.status_code} {refused.json()['type'].rpartition(':')[2]}")
    if refused.status_code != 503:
        failures.append("a store that is away is not said")
    store.start()
    more = headers | {"Range": f"bytes={count}-"}
    with httpx.stream("GET", url, headers=more, timeout=60) as answer:
        for piece in answer.iter_raw():
            got.update(piece)
    whole = got.hexdigest() == item["sha256"]
    print(f"back: a range goes on, and the whole is {'what was published' if whole else 'WRONG'}")
    if not whole:
        failures.append("the resumed object is another")
    [(path, _)] = sme.run(transfer.download(sme.core, grant, folder / "downloads"))
    print(f"the client's own download, verified: {path.stat().st_size >> 20} MiB")


if __name__ == "__main__":
    sys.exit(main())
