"""Real S3 stores for tests: MinIO and versitygw on loopback, with credentials of their own.

Where an executable is missing the test skips and says so; with CI=true that is a failure.
"""

import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from connectors.gateway.door import Connection, DoorUnavailable
from exchange.outward.allow import AllowList
from tests.support.infra import find_tool

REGION = "us-east-1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Store:
    """One server on a folder of its own; the port stays the same over restarts."""

    name = ""

    def __init__(self) -> None:
        self.program = find_tool(self.name)
        self.folder = Path(tempfile.mkdtemp(prefix=f"exchange-{self.name}-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.access_key, self.secret_key = "t" + secrets.token_hex(9), secrets.token_hex(20)
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError

    def start(self, wait: float = 30) -> Self:
        arguments, environment = self.command()
        (self.folder / "data").mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.program), *arguments],
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"{self.name} ended: {(self.folder / 'log').read_text()[-2000:]}"
                )
            if self._is_ready():
                return self
            time.sleep(0.03)
        self.stop()
        raise RuntimeError(f"{self.name} did not become ready")

    def _is_ready(self) -> bool:
        try:
            return bool(self.client().list_buckets() is not None)
        except Exception:
            return False

    def client(self, **changes: Any) -> Minio:
        """A client of the whole store."""
        options: dict[str, Any] = {
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "secure": False,
            "region": REGION,
        }
        return Minio(f"127.0.0.1:{self.port}", **(options | changes))

    def bucket(self, *, versions: bool = False) -> str:
        """Make an empty bucket and return its name."""
        name = "b" + secrets.token_hex(6)
        self.client().make_bucket(name)
        if versions:
            self.client().set_bucket_versioning(name, VersioningConfig(ENABLED))
        return name

    def kill(self) -> None:
        """End it at once (SIGKILL); what it stored stays."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove what it stored."""
        self._end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class MinioStore(Store):
    """MinIO on one folder."""

    name = "minio"

    def command(self) -> tuple[list[str], dict[str, str]]:
        arguments = ["server", "--quiet", "--address", f"127.0.0.1:{self.port}"]
        arguments += ["--console-address", f"127.0.0.1:{free_port()}", str(self.folder / "data")]
        return arguments, {
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CI_CD": "on",  # or it refuses the disk that the system is on
        }

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/minio/health/live", timeout=1):
                return super()._is_ready()
        except (OSError, urllib.error.URLError):
            return False


class VersityStore(Store):
    """versitygw over files."""

    name = "versitygw"

    def command(self) -> tuple[list[str], dict[str, str]]:
        (self.folder / "versions").mkdir(exist_ok=True)
        arguments = ["--port", f"127.0.0.1:{self.port}", "--region", REGION]
        arguments += ["posix", "--versioning-dir", str(self.folder / "versions")]
        return [*arguments, str(self.folder / "data")], {
            "ROOT_ACCESS_KEY": self.access_key,
            "ROOT_SECRET_KEY": self.secret_key,
        }


STORES: Mapping[str, type[Store]] = {"minio": MinioStore, "versitygw": VersityStore}


class MemoryConnections:
    """Platforms' connections in memory, with the promises of the exchange's."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Connection] = {}
        self.away = False

    async def connection(self, org_id: str, connection_id: str) -> Connection | None:
        if self.away:
            raise DoorUnavailable("away")
        return self.known.get((org_id, connection_id))

    def add(self, connection: Connection) -> Connection:
        self.known[connection.org_id, connection.id] = connection
        return connection


def connection_to(store: Store, bucket: str, org_id: str, **changes: Any) -> Connection:
    """A connection as the exchange would give it."""
    values: dict[str, Any] = {
        "id": "con_" + "7" * 26,
        "org_id": org_id,
        "kind": "s3",
        "url": store.url,
        "settings": {"bucket": bucket, "region": REGION},
        "secret": {"access_key": store.access_key, "secret_key": store.secret_key},
        "rev": 1,
    }
    return Connection(**(values | changes))


def allows(*stores: Store) -> AllowList:
    """A list that names these stores, and no other address inward."""
    return AllowList(",".join(f"127.0.0.1:{store.port}" for store in stores), public=True)
