"""A small HTTP/1.1 load generator: prebuilt requests, one keep-alive connection a client.

A general client costs more per request than the exchange does; on two cores that would measure
the client.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """What a run gave: answers a second, and milliseconds at the median and the 99th percentile."""

    per_second: float
    p50_ms: float
    p99_ms: float

    def __str__(self) -> str:
        return f"{self.per_second:8.0f}/s  p50 {self.p50_ms:7.2f} ms  p99 {self.p99_ms:7.2f} ms"


def figures(latencies: list[float], seconds: float) -> Figures:
    ordered = sorted(latencies)
    at = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000  # noqa: E731
    return Figures(len(ordered) / seconds, at(0.5), at(0.99))


def median(runs: list[Figures]) -> Figures:
    """Return the median of each figure over several runs."""
    names = Figures.__annotations__
    return Figures(*(statistics.median(getattr(run, name) for run in runs) for name in names))


def http_request(
    method: str,
    path: str,
    body: bytes,
    content_type: str,
    token: str = "",
    headers: Mapping[str, str] | None = None,
    host: str = "bench",
) -> bytes:
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    ]
    if token:
        head.append(f"Authorization: Bearer {token}")
    head += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


async def drive(
    port: int, clients: list[Iterator[bytes]], seconds: float, expect: set[int]
) -> Figures:
    """Let every client send its requests one after the other for `seconds`."""
    latencies: list[float] = []
    stop = time.perf_counter() + seconds
    started = time.perf_counter()
    await asyncio.gather(*[_client(port, c, stop, expect, latencies) for c in clients])
    return figures(latencies, time.perf_counter() - started)


async def _client(
    port: int, requests: Iterator[bytes], stop: float, expect: set[int], latencies: list[float]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    for request in requests:
        began = time.perf_counter()
        if began > stop:
            break
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        lowered = head.lower()
        at = lowered.index(b"content-length:") + 15
        length = int(lowered[at : lowered.index(b"\r\n", at)])
        body = await reader.readexactly(length)
        if status not in expect:
            raise AssertionError(f"{status}: {body[:500]!r}")
        latencies.append(time.perf_counter() - began)
    writer.close()
