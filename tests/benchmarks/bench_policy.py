"""Decisions/s, p50 and p99, embedded beside OPA server, on the same inputs in one run.

python -m tests.benchmarks.bench_policy [decisions]
"""

import asyncio
import sys
import time

from exchange.policy import PolicyEngine, open_engine
from tests.support.opa import OpaServer, find_opa
from tests.support.policy_inputs import documents

WARM_UP = 300


async def measure(engine: PolicyEngine, decisions: int) -> tuple[float, float, float]:
    """Decide one after the other; return decisions/s, p50 and p99 in microseconds."""
    inputs = documents(decisions + WARM_UP, seed=9)
    for document in inputs[:WARM_UP]:
        await engine.decide(document)
    taken = []
    for document in inputs[WARM_UP:]:
        start = time.perf_counter()
        await engine.decide(document)
        taken.append(time.perf_counter() - start)
    await engine.aclose()
    rate = decisions / sum(taken)
    taken.sort()
    return rate, taken[decisions // 2] * 1e6, taken[decisions * 99 // 100] * 1e6


async def run(decisions: int) -> None:
    """Measure both and print them with their ratio."""
    print(f"policy: {decisions:,} decisions, one client, the whole door (schema, engine, answer)")
    print(f"{'':10}{'decisions/s':>12}{'p50 µs':>10}{'p99 µs':>10}")
    embedded = await measure(open_engine("embedded"), decisions)
    print(f"{'embedded':10}{embedded[0]:>12,.0f}{embedded[1]:>10.0f}{embedded[2]:>10.0f}")
    if find_opa() is None:
        print("OPA server: not measured, the OPA executable is missing (`make infra`)")
        return
    opa = OpaServer().start()
    try:
        server = await measure(open_engine("server", opa_url=opa.url), decisions)
    finally:
        opa.stop()
    print(f"{'server':10}{server[0]:>12,.0f}{server[1]:>10.0f}{server[2]:>10.0f}")
    ratio = embedded[1] / server[1]
    verdict = "met" if ratio <= 0.25 else "MISSED"
    print(f"embedded p50 is {ratio:.2f} of the server's; the aim of at most 0.25 is {verdict}")


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
