"""Quotas at their edge, round after round: 64 callers at once, two workers on PostgreSQL.

python -m tests.campaigns.quota_edge [--rounds 100] [--seed N]
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.call_record import RecordingService
from tests.support.ledgers import OwnDatabase
from tests.support.quota import CALLERS, Edge
from tests.support.server import ExchangeServer


async def play(edge: Edge, rounds: int, chance: random.Random) -> None:
    """Round after round; raises AssertionError."""
    kinds: Counter[str] = Counter()
    begun = time.monotonic()
    for number in range(1, rounds + 1):
        try:
            told = await edge.one_of(chance)
        except BaseException:
            print(f"round {number} FAILED", flush=True)
            raise
        kinds[told.partition(",")[0]] += 1
        if number % 10 == 0 or number == rounds:
            seconds = time.monotonic() - begun
            print(f"{number}/{rounds} in {seconds:.0f} s; the last: {told}", flush=True)
    edge.judge()
    shown = ", ".join(f"{count} of {name}" for name, count in sorted(kinds.items()))
    print(f"{rounds} rounds of {CALLERS} callers ({shown}): each exact, nobody refused otherwise.")


def main() -> int:
    """Read the arguments, run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        database = OwnDatabase("postgres", Path(folder) / "state")
        with (
            RecordingService(Path(folder) / "service.record") as service,
            ExchangeServer(database.state, database_url=database.url, workers="2") as server,
        ):
            edge = Edge(server, database, service)
            asyncio.run(play(edge, arguments.rounds, random.Random(arguments.seed)))
        database.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
