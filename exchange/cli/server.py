"""An `exchange serve` of our own: started, awaited and stopped; its log goes to a file."""

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx

from exchange.cli.start_up import check_port
from exchange.client.session import open_http
from exchange.errors import StartUpError

if TYPE_CHECKING:
    from exchange.settings import Settings

START_SECONDS = 60
STOP_SECONDS = 30


def is_up(url: str) -> bool:
    """Whether an exchange answers at `url` and is ready."""
    try:
        with open_http(url, timeout=2) as http:
            return http.get("/readyz").status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


class Server:
    """The server process, in a session of its own: Ctrl-C reaches whoever started it, not it.

    It ends with its standard input, so that it never outlives the process that started it.
    """

    def __init__(self, settings: "Settings", reaches: str = "") -> None:
        """`reaches` is an address that platforms' services may have beside what is set."""
        self._settings = settings
        allowed = [each for each in (settings.upstream_allow, reaches) if each]
        self._environment = os.environ | {"EXCHANGE_UPSTREAM_ALLOW": ",".join(allowed)}
        self.log = settings.state_dir / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it is ready; raises StartUpError with what it said."""
        check_port(self._settings)
        try:
            self._settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            log = self.log.open("ab")
        except OSError as error:
            raise StartUpError(
                f"No permission to write in {self._settings.state_dir} ({error.strerror}). "
                "Choose another folder with EXCHANGE_STATE_DIR, or change its owner."
            ) from error
        with log:
            start = log.tell()
            command = [sys.executable, "-m", "exchange.cli.main", "serve", "--with-parent"]
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not is_up(self._here()):
            if self._process.poll() is not None:
                raise StartUpError(self._said(start))
            if time.monotonic() > deadline:
                self.stop()
                raise StartUpError(f"The server is not ready after a minute; see {self.log}.")
            time.sleep(0.05)

    def _here(self) -> str:
        """Return where it listens, whatever its public URL is."""
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._settings.port}"

    def _said(self, start: int) -> str:
        """Return what it said for people: not its log lines, not the headline that follows anew."""
        lines = self.log.read_bytes()[start:].decode("utf-8", "replace").splitlines()
        said = [line for line in lines if not line.startswith("{")]
        text = "\n".join(said).removeprefix("The exchange cannot start.").strip()
        return text or f"The server ended; see {self.log}."

    def stop(self) -> None:
        """Ask it to end, and wait; asked again while it waits (Ctrl-C), end it at once."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        finally:
            if process.stdin is not None:
                process.stdin.close()

    def wait(self) -> None:
        """Wait until it ends by itself, which it should not."""
        if self._process is not None:
            self._process.wait()
