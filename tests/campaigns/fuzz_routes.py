"""Generated requests at every route, as every role, on both databases: other ones each time.

python -m tests.campaigns.fuzz_routes [requests an operation]
"""

import os
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).resolve().parents[1] / "end_to_end" / "test_every_route.py"

if __name__ == "__main__":
    os.environ["FUZZ_EXAMPLES"] = sys.argv[1] if len(sys.argv) > 1 else "1000"
    sys.exit(pytest.main(["-q", "--durations=5", str(SUITE)]))
