"""100,000 malformed assertions, proofs, forms and headers: no 500, none over 1 s, memory flat.

python -m tests.campaigns.fuzz_oauth [requests]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.end_to_end.test_oauth_fuzz import PLENTY
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.oauth_fuzz import fuzz, known_to, resident_mib
from tests.support.server import ExchangeServer

STEP = 5_000
ALLOWED_GROWTH_MIB = 24  # proofs that were met are kept for minutes: at most 100,000 of them


def run(count: int) -> int:
    """Send so many, print what was seen, return the exit code."""
    with (
        tempfile.TemporaryDirectory() as folder,
        ExchangeServer(Path(folder) / "state", **PLENTY) as server,
    ):
        by = operator(server.state)
        sme = join(by, "Small", ["sme"], SME_ATTRIBUTES)
        offering = publish(join(by, "Harbour", ["platform"]))
        grant = ask(sme, offering)["grant"]["id"]
        assert server.process is not None
        warm, wrong, slowest = 0.0, 0, 0.0
        for seed in range(count // STEP):
            found = asyncio.run(fuzz(known_to(sme, offering["id"], grant), seed, STEP))
            sme.core._tokens.clear()
            wrong += len(found.wrong)
            slowest = max(slowest, found.slowest)
            memory = resident_mib(server.process.pid)
            warm = warm or memory
            told = ", ".join(f"{s}: {n:,}" for s, n in sorted(found.statuses.items()))
            print(
                f"{(seed + 1) * STEP:>9,}  {told}; slowest {found.slowest:.3f} s; {memory:.0f} MiB",
                flush=True,
            )
            for each in found.wrong[:5]:
                print("WRONG", each, flush=True)
        errors = server.log().count("unexpected_error")
    grown = memory - warm
    print(f"wrong {wrong}, errors {errors}, slowest {slowest:.3f} s, grown {grown:.1f} MiB")
    sound = not wrong and not errors and slowest < 1 and grown < ALLOWED_GROWTH_MIB
    print("sound" if sound else "FAILED")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
