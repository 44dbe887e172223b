"""100,000 malformed assertions, grants, proofs, forms and registrations, with a judged end.

Ends with 1 if any answer was a 500 or took over 1 s (eight are asked at once: let the
machine have nothing else to do), or if resident memory grew by more than is reasoned for here, from
after the first fifth of the requests, when every cache has been met, to the end.

What may grow after that: proofs that were met (100,000 at most, 0.3 KiB each, for five minutes),
the once keys of assertions and proofs (some minutes, then swept) in the pages that SQLite keeps,
rows of participants (10,000 at most): whatever the length of the run some MiB, which 8 MiB hold
with the heap's gaps. And each 5,000 requests register some 40 clients, of one more organisation:
each a row, a leaf and its pages, which 200 bytes a request hold. So in 100,000 a leak shows that is
of more than some 300 bytes a request; in 3,000 one of 3 KiB.

python -m tests.campaigns.fuzz_oauth [requests]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.support.oauth_fuzz import PLENTY, WAYS_IN, Fuzzed, World, fuzz, resident_mib
from tests.support.server import ExchangeServer

LARGEST_STEP = 5_000  # a token lives 5 minutes, and an organisation has 50 open invitations at most
SLOWEST_SECONDS = 1.0
KEPT_MIB, KEPT_BYTES_A_REQUEST = 8, 200


def steps_of(count: int) -> list[int]:
    """Parts of a run, a multiple of five of them, so that a fifth ends with a part."""
    parts = 5 * -(-count // (5 * LARGEST_STEP))
    return [count * (i + 1) // parts - count * i // parts for i in range(parts)]


def judge(found: Fuzzed, errors: int, warm: float, memory: float, after: int) -> list[str]:
    """Say what is wrong with a run; `after` requests came between `warm` and `memory` (MiB)."""
    allowed = KEPT_MIB + after * KEPT_BYTES_A_REQUEST / 2**20
    wrong = [f"wrong answer: {each}" for each in found.wrong[:20]]
    if errors:
        wrong.append(f"{errors} unexpected errors in the server's log")
    if found.slowest[0] > SLOWEST_SECONDS:
        wrong.append(f"{found.slowest[0]:.3f} s for {found.slowest[1]}")
    if memory - warm > allowed:
        wrong.append(f"memory grew by {memory - warm:.1f} MiB, where {allowed:.1f} are allowed")
    wrong += [f"never tried: {way}" for way in WAYS_IN - {what for what, _ in found.answers}]
    return wrong


def run(count: int) -> int:
    """Send so many, print what was seen, return the exit code."""
    found, sent, after = Fuzzed(), 0, 0
    with (
        tempfile.TemporaryDirectory() as folder,
        ExchangeServer(Path(folder) / "state", **PLENTY) as server,
    ):
        world, steps = World(server), steps_of(count)
        assert server.process is not None
        warm = memory = 0.0
        for seed, step in enumerate(steps):
            known = world.known()
            if seed == len(steps) // 5:
                warm, after = resident_mib(server.process.pid), count - sent
            here = asyncio.run(fuzz(known, seed, step))
            found.add(here)
            sent += step
            memory = resident_mib(server.process.pid)
            print(f"{sent:>9,}  slowest {here.slowest}; {memory:.1f} MiB", flush=True)
        errors = server.log().count("unexpected_error")
    print(found.table())
    print(f"slowest {found.slowest}; grown by {memory - warm:.1f} MiB in the last {after:,}")
    wrong = judge(found, errors, warm, memory, after)
    for each in wrong:
        print("WRONG", each)
    print("FAILED" if wrong else "sound")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
