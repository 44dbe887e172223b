"""Do a step for each line of JSON, and tell in a line what it returned or raised."""

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

Steps = dict[str, Callable[..., dict[str, Any]]]


def serve(steps: Steps, raised: Callable[[Exception], dict[str, Any]]) -> None:
    """Until the lines end; `raised` says what there is to tell of an exception."""
    for line in sys.stdin:
        given = json.loads(line)
        try:
            told = steps[given.pop("do")](**given)
        except Exception as error:
            traceback.print_exc()
            told = {
                "failed": {"name": type(error).__name__, "message": str(error), **raised(error)}
            }
        print(json.dumps(told), flush=True)
