"""Kill workers hundreds of times under calls, and hold each count against the service's own record.

python -m tests.campaigns.call_kills [--kills 500] [--only KIND] [--seed N]
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.campaigns.kills import KINDS, play
from tests.support.call_kill import CallKills
from tests.support.ledgers import OwnDatabase


def run(kind: str, kills: int, seed: int) -> None:
    """Kill so often; at the end the leases of the dead run out by the clock, as they do."""
    folder = Path(tempfile.mkdtemp(prefix=f"exchange-call-kills-{kind}-"))
    database = OwnDatabase(kind, folder / "state")
    campaign = CallKills(database, workers=KINDS[kind], seed=seed, session_minutes="1")
    play(campaign, kind, kills, seed)
    figures = campaign.figures
    assert figures.without_end >= kills // 2, "too few kills fell among calls"
    assert kills < 100 or figures.closed_sessions, "no session was closed meanwhile"


def main() -> int:
    """Read the arguments, run, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="in all, half on each database")
    parser.add_argument("--only", choices=sorted(KINDS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    kinds = [arguments.only] if arguments.only else sorted(KINDS)
    for kind in kinds:
        run(kind, arguments.kills // len(kinds), arguments.seed)
    print("Every call that reached the service was recorded, none was counted twice.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
