"""Many stories of requests and grants against the model, other ones each time, on both databases.

python -m tests.campaigns.stories [stories a database]
"""

import os
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).resolve().parents[1] / "properties" / "test_stateful_access.py"

if __name__ == "__main__":
    os.environ["STATEFUL_EXAMPLES"] = sys.argv[1] if len(sys.argv) > 1 else "300"
    sys.exit(pytest.main(["-q", "--durations=5", str(SUITE)]))
