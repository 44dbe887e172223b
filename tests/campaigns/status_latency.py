"""From a revocation to its refusal at a gateway that is connected over HTTP, under calls.

The gateway is a process of its own that knows what stands from its platform's status list alone.
Times in milliseconds, from the revocation's request and from its answer. Judged: the 99th
percentile from the answer below 100 ms; from the request it is the aim.

    python -m tests.campaigns.status_latency [--trials 200] [--calls 1000] [--database sqlite]
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.support.status_latency import Bench
from tests.support.story import exchange_on

AIM_MS = 100
CLOSED_SECONDS = 10.1  # it is asked every 5 ms, on a machine with other work


def shown(seconds: list[float]) -> str:
    ordered = sorted(each * 1000 for each in seconds)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99)]
    return f"p50 {at[0]:.1f} ms, p99 {at[1]:.1f} ms, max {ordered[-1]:.1f} ms"


def main() -> int:
    """Read the arguments, run, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--calls", type=float, default=1000, help="a second, at the gateway")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--workers", default="1")
    parser.add_argument("--cuts", type=int, default=5, help="of the line between the two")
    wanted = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        exchange_on(
            wanted.database, Path(folder), workers=wanted.workers, log_level="warning"
        ) as server,
    ):
        bench = Bench(server, Path(folder))
        cuts = uvloop.run(bench.cuts(wanted.cuts))
        found, load = uvloop.run(bench.run(wanted.trials, wanted.calls))
    for closed, opened in cuts:
        print(f"line cut: closed after {closed:.2f} s, open {opened:.2f} s after it was mended")
        assert closed <= CLOSED_SECONDS
    rate = load.done / load.seconds
    print(f"load of the machine {os.getloadavg()[0]:.1f}; {rate:.0f} calls/s, all accepted")
    assert not load.wrong, load.wrong[:5]
    requests = [from_request for from_request, _ in found]
    print(f"{len(found)} revocations refused, from the request: {shown(requests)}")
    answers = sorted(from_answer for _, from_answer in found)
    print(f"from the answer: {shown(answers)}")
    within = sum(each * 1000 < AIM_MS for each in requests)
    print(f"within {AIM_MS} ms: {within} of {len(found)}")
    return 0 if answers[min(len(answers) - 1, int(len(answers) * 0.99))] * 1000 < AIM_MS else 1


if __name__ == "__main__":
    sys.exit(main())
