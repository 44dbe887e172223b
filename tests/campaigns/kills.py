"""Kill the exchange hundreds of times under load, and judge it after each restart.

python -m tests.campaigns.kills [--kills 500] [--first-starts 20] [--only KIND] [--seed N]
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.support.kill import KillRun
from tests.support.ledgers import OwnDatabase
from tests.support.under_load import UnderLoad

EVERY = 10
KINDS = {"sqlite": 1, "postgres": 2}


def play(run: UnderLoad, kind: str, kills: int, seed: int) -> None:
    """Kill one exchange so often and print figures on the way; raises where it did not stand."""
    folder = run.database.state.parent
    print(f"{kind}: {kills} kills, {run.workers} worker(s), seed {seed}, in {folder}", flush=True)
    begun = time.monotonic()
    try:
        run.open()
        for number in range(1, kills + 1):
            run.cycle()
            if number % EVERY == 0 or number == kills:
                minutes = (time.monotonic() - begun) / 60
                print(f"{kind} {number}/{kills} in {minutes:.1f} min: {run.figures}", flush=True)
        run.end()
    except BaseException:
        print(f"{kind}: FAILED after {run.figures}")
        print(f"The state is kept in {folder}, the server's log in {run.server.log_path}.")
        print(run.server.log()[-3000:])
        run.close()
        raise
    print(f"{kind}, at the end: {run.figures}", flush=True)
    run.close()
    run.database.remove()
    shutil.rmtree(folder)


def run(kind: str, kills: int, seed: int) -> None:
    """Kill one exchange so often."""
    folder = Path(tempfile.mkdtemp(prefix=f"exchange-kills-{kind}-"))
    database = OwnDatabase(kind, folder / "state")
    play(KillRun(database, workers=KINDS[kind], clients=6, seed=seed), kind, kills, seed)


def run_first_starts(kind: str, count: int, seed: int) -> None:
    """Kill as many exchanges in their very first start, and start each again."""
    for number in range(count):
        folder = Path(tempfile.mkdtemp(prefix=f"exchange-first-{kind}-"))
        database = OwnDatabase(kind, folder / "state")
        first = KillRun(database, workers=KINDS[kind], seed=seed + number)
        try:
            first.first_start()
        finally:
            first.close()
        database.remove()
        shutil.rmtree(folder)
    print(f"{kind}: {count} first starts killed, each second start went well", flush=True)


def main() -> int:
    """Read the arguments, run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="in all, half on each database")
    parser.add_argument("--first-starts", type=int, default=20, help="on each database")
    parser.add_argument("--only", choices=sorted(KINDS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    kinds = [arguments.only] if arguments.only else sorted(KINDS, reverse=True)
    for kind in kinds:
        run_first_starts(kind, arguments.first_starts, arguments.seed)
        run(kind, arguments.kills // len(kinds), arguments.seed)
    print("Every grant had its leaf and every leaf its grant; no word was taken back.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
