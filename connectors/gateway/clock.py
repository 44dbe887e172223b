"""The clock by which a gateway tells how old something is."""

import time


def boot_time() -> float:
    """Return the seconds of a clock that nobody sets, and that runs on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
