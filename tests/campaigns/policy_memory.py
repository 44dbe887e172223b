"""A million embedded decisions: memory stays flat, and the same input gives the same answer.

python -m tests.campaigns.policy_memory [decisions]
"""

import asyncio
import gc
import os
import sys
import time
from pathlib import Path

from exchange.policy import open_engine
from tests.support.policy_inputs import documents, largest

ALLOWED_GROWTH = 2 * 2**20
"""Bytes between the warm start and the end; a leak of 3 bytes a decision would show."""


def resident() -> int:
    """Return this process's resident memory in bytes."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def run(decisions: int) -> int:
    """Decide so often, print what was seen, return the exit code."""
    engine = open_engine("embedded")
    inputs = [largest(), *documents(2_000, seed=1)]
    first = [await engine.decide(document) for document in inputs]
    begun, start = time.perf_counter(), resident()
    done = changed = 0
    while done < decisions:
        for document, expected in zip(inputs, first, strict=True):
            changed += await engine.decide(document) != expected
        done += len(inputs)
        if done % 100_000 < len(inputs):
            print(f"{done:>9,} decisions  RSS {resident() / 2**20:.1f} MiB", flush=True)
    end = resident()
    print(
        f"{done:,} decisions in {time.perf_counter() - begun:.0f} s: "
        f"RSS start {start / 2**20:.1f} MiB, end {end / 2**20:.1f} MiB; {changed} answers changed"
    )
    sound = changed == 0 and end - start <= ALLOWED_GROWTH
    print("memory flat" if sound else "FAILED")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
