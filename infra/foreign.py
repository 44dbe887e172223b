"""Other people's OAuth clients, by which the tests have the exchange judged; needs only Python.

Each kind lands in a folder below .tools/foreign/, pinned with hashes by a file in tests/foreign/.
A copy of that file, written last, tells that the folder holds what is pinned today.
"""

import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".tools" / "foreign"
PINS = ROOT / "tests" / "foreign"

Run = Callable[..., str | None]  # setup.py's: command, environment, advice, folder


@dataclass(frozen=True)
class ForeignClients:
    """Packages of one language: `pinned` is the file that pins them, `folder` where they land."""

    name: str
    pinned: Path
    folder: Path
    seconds: int  # as measured on two busy cores
    purpose: str
    fill: Callable[["ForeignClients", Run], str | None]

    @property
    def _noted(self) -> Path:
        return self.folder / "installed" / self.pinned.name

    def is_installed(self) -> bool:
        """Whether the folder holds the very packages that are pinned."""
        return self._noted.is_file() and self._noted.read_bytes() == self.pinned.read_bytes()

    def install(self, run: Run) -> str | None:
        """Install them anew; on failure the advice."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        advice = self.fill(self, run)
        if advice is None:
            self._noted.parent.mkdir()
            shutil.copyfile(self.pinned, self._noted)
        return advice


def fill_node(clients: ForeignClients, run: Run) -> str | None:
    if not shutil.which("node") or not shutil.which("npm"):
        return "install Node.js 20 or later with npm (Debian: apt install nodejs npm)"
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(clients.pinned.parent / name, clients.folder / name)
    # In the folder itself: with --prefix npm does not take the lock file for its own.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    return run(command, dict(os.environ), "see above", clients.folder)


def _fill_python(clients: ForeignClients, run: Run) -> str | None:
    advice = "is a package index reachable?"
    try:
        venv.create(clients.folder, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no virtual environment can be made ({error})"
    pip = [str(clients.folder / "bin" / "python"), "-m", "pip", "install", "--require-hashes"]
    options = ["--disable-pip-version-check", "--no-input", "-q", "-r", str(clients.pinned)]
    return run([*pip, *options], dict(os.environ), advice)


CLIENTS = (
    ForeignClients(
        "openid-client",
        PINS / "openid_client" / "package-lock.json",
        FOLDER / "openid_client",
        5,
        "a client in JavaScript",
        fill_node,
    ),
    ForeignClients(
        "Python",
        PINS / "python" / "requirements.txt",
        FOLDER / "python",
        75,
        "clients in Python: Authlib's, requests-oauth2client, delta-sharing",
        _fill_python,
    ),
)
