"""The `exchange` command as its user runs it: in a process and a folder of its own."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.server import ROOT

COMMAND = [sys.executable, "-m", "exchange.cli.main"]


def environment(**settings: object) -> dict[str, str]:
    """This process's environment, with these EXCHANGE_ settings and no others."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("EXCHANGE_", "PYTHON"))}
    kept |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return kept | {f"EXCHANGE_{name.upper()}": str(value) for name, value in settings.items()}


def exchange(
    *arguments: object,
    cwd: Path,
    env: dict[str, str] | None = None,
    before: tuple[str, ...] = (),
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one verb to its end; `before` is a command that runs it, such as `unshare -n`."""
    return subprocess.run(
        [*before, *COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=env or environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=90,
    )


def _heed_interrupts() -> None:
    """Undo what a shell does to its background jobs: they would ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """A verb that goes on, such as `run`: its lines as they come, and an end by signal."""

    def __init__(self, *arguments: object, cwd: Path, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_heed_interrupts,
        )
        self.said = ""

    def read_until(self, text: str, wait: float = 90) -> str:
        """Read lines until one holds `text`; fails when the process ends before."""
        timer = threading.Timer(wait, self.process.terminate)
        timer.start()
        try:
            for line in self.process.stdout:
                self.said += line
                if text in line:
                    return self.said
        finally:
            timer.cancel()
        raise AssertionError(f"ended ({self.process.wait()}) without {text!r}:\n{self.said}")

    def children(self) -> list[int]:
        """The processes that it started and that run (Linux)."""
        pid = self.process.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def end(self, how: signal.Signals) -> int:
        """Send a signal to it alone, and return its exit code."""
        self.process.send_signal(how)
        self.said += self.process.communicate(timeout=40)[0]
        return self.process.returncode

    def kill(self) -> None:
        """End whatever a failed test left."""
        self.process.kill()  # its server ends with it
        self.process.wait()
        self.process.stdout.close()


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
