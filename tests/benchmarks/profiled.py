"""A server under a profiler, for the benchmarks that say where its time goes."""

import contextlib
import os
import pstats
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.server import ExchangeServer

SCRIPT = """#!{python}
import cProfile, runpy, signal, sys, time
profile = cProfile.Profile(time.thread_time)
signal.signal(signal.SIGUSR1, lambda *_: profile.enable())
signal.signal(signal.SIGUSR2, lambda *_: (profile.disable(), profile.dump_stats({out!r})))
sys.argv = sys.argv[2:]
runpy.run_module("exchange.cli.main", run_name="__main__", alter_sys=True)
"""


class Profiled(ExchangeServer):
    """The same server with a profiler of processor time, which sees its event loop's thread."""

    @property
    def _out(self) -> Path:
        return self.state.parent / "profile"

    def start(self, wait: float = 30) -> "ExchangeServer":
        real, script = sys.executable, self.state.parent / "profiled"
        script.write_text(SCRIPT.format(python=real, out=str(self._out)))
        script.chmod(0o755)
        sys.executable = str(script)
        try:
            return super().start(wait)
        finally:
            sys.executable = real

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Print where the processor's time goes for what is done inside."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGUSR1)
        yield
        os.kill(self.process.pid, signal.SIGUSR2)
        time.sleep(2)
        shown = pstats.Stats(str(self._out))
        shown.sort_stats("cumulative").print_stats(60)
        shown.sort_stats("tottime").print_stats(25)
