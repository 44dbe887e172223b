"""A real exchange in processes of its own: start, stop, kill, start again on the same state."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
WEBHOOK_ALLOW = "127.0.0.1:9"  # where nobody listens
UPSTREAM_ALLOW = "127.0.0.1:9"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ExchangeServer:
    """`exchange serve` on a state folder; the port stays the same over restarts."""

    def __init__(self, state: Path, **settings: str) -> None:
        self.state = state
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = state.parent / f"{state.name}.log"
        allowed = {"webhook_allow": WEBHOOK_ALLOW, "upstream_allow": "127.0.0.1"} | settings
        self.settings = {k.upper(): str(v) for k, v in allowed.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("EXCHANGE_")}
        return kept | {
            "EXCHANGE_STATE_DIR": str(self.state),
            "EXCHANGE_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
            **{f"EXCHANGE_{k}": v for k, v in self.settings.items()},
        }

    def start(self, wait: float = 90) -> "ExchangeServer":
        """Start and wait until every part is ready."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "exchange.cli.main", "serve"],
                cwd=ROOT,
                env=self.environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"exchange ended: {self.log()[-3000:]}")
            try:
                if httpx.get(self.url + "/readyz", timeout=2).status_code == 200:
                    return self
            except httpx.HTTPError:
                time.sleep(0.05)
        raise RuntimeError(f"exchange not ready: {self.log()[-3000:]}")

    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def stop(self) -> None:
        """Ask it to end and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL the whole process group, workers included."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def __enter__(self) -> "ExchangeServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
