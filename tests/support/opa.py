"""A real OPA executable and server for tests: found in .tools/bin or on the PATH.

Where it is missing a test skips and says so; with CI=true that is a failure.
`from tests.support.opa import opa_server  # noqa: F401` gives a module its running server.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "policies" / "build" / "bundle.tar.gz"


def absent(what: str) -> NoReturn:
    """Skip the test; in CI, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; in CI nothing is skipped")
    pytest.skip(what)


def find_opa() -> str | None:
    """Return OPA's path, or None."""
    local = ROOT / ".tools" / "bin" / "opa"
    return str(local) if os.access(local, os.X_OK) else shutil.which("opa")


def require_opa() -> str:
    """Return OPA's path; skip, or fail in CI, where there is none."""
    return find_opa() or absent("the OPA executable is missing: run `make infra`")


class OpaServer:
    """One OPA server on loopback with the committed bundle; stops only what it started."""

    def __init__(self, bundle: Path = BUNDLE) -> None:
        self._bundle = bundle
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "OpaServer":
        """Start and wait until the bundle is loaded."""
        self._process = subprocess.Popen(
            [
                require_opa(),
                *("run", "--server", "--addr", f"127.0.0.1:{self.port}"),
                *("--skip-version-check", "--log-level", "error"),
                *("--bundle", str(self._bundle)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"OPA ended with {self._process.returncode}")
            try:
                with urllib.request.urlopen(f"{self.url}/health?bundles=true", timeout=1):
                    return self
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError("OPA did not become ready")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server's process."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)

    def stop(self) -> None:
        """End it, stopped or not."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def opa_server() -> Iterator[OpaServer]:
    """A running OPA server with the committed policies."""
    server = OpaServer().start()
    yield server
    server.stop()
