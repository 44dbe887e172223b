"""One GiB up and down through the gateway, to a service and back: whole, and memory stays flat.

python -m tests.campaigns.big_calls [--mib 1024]
"""

import argparse
import hashlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from exchange.client.session import Session
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish_service
from tests.support.server import ExchangeServer
from tests.support.upstream import Came, Upstream, Visit

MIB = 1 << 20
PIECE = bytes(range(256)) * (MIB // 256)
MOST_GROWTH_MIB = 48  # of a gateway that held no more than a few pieces


class Memory:
    """The largest resident size of a process while this runs, in MiB."""

    def __init__(self, pid: int) -> None:
        self._path, self._over = Path(f"/proc/{pid}/statm"), threading.Event()
        self.first = self.most = self._now()
        self._thread = threading.Thread(target=self._watch)

    def _now(self) -> float:
        return int(self._path.read_text().split()[1]) * 4096 / MIB

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, self._now())

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def pieces(mib: int) -> Iterator[bytes]:
    for _ in range(mib):
        yield PIECE


def expected(mib: int) -> str:
    digest = hashlib.sha256()
    for piece in pieces(mib):
        digest.update(piece)
    return digest.hexdigest()


class Big:
    """A service that takes and gives so many MiB, and keeps a hash only."""

    def __init__(self, mib: int) -> None:
        self.mib, self.taken = mib, hashlib.sha256()

    async def early(self, visit: Visit, came: Came) -> None:
        if came.method != "PUT":
            return
        left = int(came.one("content-length"))
        while left:
            piece = await visit.reader.read(min(left, MIB))
            assert piece, "cut"
            self.taken.update(piece)
            left -= len(piece)
        came.headers = []  # it has been read

    async def act(self, visit: Visit, came: Came) -> None:
        if came.method == "PUT":
            await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces(self.mib):
            await visit.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await visit.send(b"0\r\n\r\n")


def play(sme: Session, url: str, mib: int, pid: int, big: Big) -> None:
    headers = {"Authorization": f"Bearer {sme.token('grant:' + url.split('/')[-3])}"}
    for way in ("up", "down"):
        began = time.perf_counter()
        with Memory(pid) as memory:
            if way == "up":
                sized = headers | {"Content-Length": str(mib * MIB)}
                answer = httpx.put(url, content=pieces(mib), headers=sized, timeout=600)
                assert answer.status_code == 200, answer.text
                got = big.taken.hexdigest()
            else:
                digest = hashlib.sha256()
                with httpx.stream("GET", url, headers=headers, timeout=600) as answer:
                    for piece in answer.iter_raw():
                        digest.update(piece)
                got = digest.hexdigest()
        took = time.perf_counter() - began
        assert got == expected(mib), way
        growth = memory.most - memory.first
        print(
            f"{way:<5} {mib} MiB whole, {mib / took:.0f} MiB/s, gateway's memory "
            f"{memory.first:.0f} MiB and {growth:.0f} more at most",
            flush=True,
        )
        assert growth < MOST_GROWTH_MIB, "memory is not flat"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    mib = parser.parse_args().mib
    big = Big(mib)
    with (
        tempfile.TemporaryDirectory() as folder,
        Upstream(big.act, keep_bodies=False) as service,
        ExchangeServer(Path(folder) / "state") as server,
    ):
        service.early = big.early
        by = operator(server.state)
        sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
        source = {
            "max_request_bytes": mib * MIB,
            "max_response_bytes": mib * MIB,
            "seconds": 3600,
        }
        offering = publish_service(
            join(by, "Platform", ["platform"]), service.url, "GET /*", "PUT /*", source=source
        )
        grant = ask(sme, offering, actions=["call"])["grant"]["id"]
        play(sme, f"{server.url}/gateway/grants/{grant}/call/big", mib, server.process.pid, big)


if __name__ == "__main__":
    main()
