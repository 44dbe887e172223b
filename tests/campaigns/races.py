"""Every race between two acts, many times, on one worker and on two.

python -m tests.campaigns.races [rounds]
"""

import os
import sys
from pathlib import Path

import pytest

SUITES = Path(__file__).resolve().parents[1] / "integration"

if __name__ == "__main__":
    os.environ["RACE_ROUNDS"] = sys.argv[1] if len(sys.argv) > 1 else "200"
    sys.exit(pytest.main(["-q", "--durations=5", *map(str, SUITES.glob("test_*races.py"))]))
