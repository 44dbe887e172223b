"""The tools and servers that `make infra` brings, as tests ask for them; absent means skip.

A skip hides nothing where it counts: with CI=true whatever is absent fails the test.
"""

import atexit
import functools
import importlib
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "bin"
VECTORS = ROOT.parent / "shared" / "vectors"


def need(reason: str) -> NoReturn:
    """Skip the test for this reason; with CI=true fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"needed in CI: {reason}", pytrace=False)
    pytest.skip(reason)


def find_tool(name: str) -> Path:
    """The executable in .tools/bin, else on PATH; skips (in CI fails) where there is none."""
    local = TOOLS / name
    found = str(local) if local.exists() else shutil.which(name)
    if not found:
        need(f"{name} is not here: run `make infra`")
    return Path(found)


def find_vectors(name: str) -> Path:
    """A file of the vectors of others; skips (in CI fails) where the folder is absent."""
    path = VECTORS / name
    if not path.exists():
        need(f"no vectors: ../shared/vectors/{name} is absent")
    return path


def postgres_server():
    """A throwaway PostgreSQL for the whole run, an `infra.postgres.Postgres`, started once.

    Each worker of pytest-xdist starts its own. Skips (in CI fails) where no server can be had.
    """
    started = _start_postgres()
    if isinstance(started, Exception):
        need(str(started))
    return started


@functools.cache
def _start_postgres():
    postgres = infra_module("postgres")
    server = postgres.Postgres()  # fsync on: the exchange refuses to start without
    try:
        server.start()
    except postgres.PostgresUnavailable as error:
        return error
    atexit.register(server.stop)
    return server


def infra_module(name: str) -> ModuleType:
    """A module of infra/, which is scripts for the system's Python, not a package."""
    if str(ROOT / "infra") not in sys.path:
        sys.path.append(str(ROOT / "infra"))
    return importlib.import_module(name)
