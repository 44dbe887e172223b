"""Databases, ledgers and whole exchanges in the test's own process, each test with its own."""

import asyncio
import atexit
import contextlib
import functools
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg

from exchange.db import Database
from exchange.formats.note import Signer
from exchange.ledger.keep import Keeper
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Event, Insert, Once, Update, Write
from exchange.migrate import migrate
from exchange.participants.store import CLIENTS, ORGANISATIONS
from exchange.parts import Parts, open_parts
from exchange.settings import Settings
from tests.support.infra import postgres_server

TEMPLATE = "exchange_template"
_numbers = itertools.count()


class OwnDatabase:
    """An empty database with its state folder; `kind` is sqlite or postgres."""

    def __init__(self, kind: str, state: Path) -> None:
        self.kind, self.state = kind, state
        self.name = f"t{os.getpid()}_{next(_numbers)}"
        self.made: list[str] = []
        self.port = 0  # of a proxy before PostgreSQL
        if kind == "postgres":
            template()
            self._create(self.name, TEMPLATE)

    @property
    def url(self) -> str:
        """EXCHANGE_DATABASE_URL; empty for SQLite, which stands in the state folder."""
        if self.kind == "sqlite":
            return ""
        url = _server().url(self.name)
        return url.replace(f":{_server().port}/", f":{self.port}/") if self.port else url

    @property
    def file(self) -> Path:
        return self.state / "database" / "exchange.sqlite3"

    def settings(self, **more) -> Settings:
        values = {"state_dir": self.state, "database_url": self.url, "sweep_seconds": 3600}
        return Settings(**values | more)

    def connect(self) -> Database:
        """The product's own handle on the migrated database."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        db = Database(self.settings().database)
        migrate(db)
        return db

    def sql(self, statement: str, *values) -> list[tuple]:
        """Run one statement from outside, `?` for values, and commit; rows if it gives any."""
        if self.kind == "sqlite":
            with contextlib.closing(sqlite3.connect(self.file)) as connection, connection:
                return connection.execute(statement, values).fetchall()
        with psycopg.connect(plain(_server().url(self.name)), autocommit=True) as connection:
            statement = statement.replace("%", "%%").replace("?", "%s")
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Callable[..., list[tuple]]]:
        """Give what does as `sql` does, but sees one moment only, and is undone at its end."""
        if self.kind == "sqlite":
            with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as reader:
                reader.execute("BEGIN")
                yield lambda statement, *values: reader.execute(statement, values).fetchall()
            return
        with psycopg.connect(plain(_server().url(self.name))) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

            def run(statement: str, *values) -> list[tuple]:
                statement = statement.replace("%", "%%").replace("?", "%s")
                cursor = reader.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

            yield run
            reader.rollback()

    @contextlib.contextmanager
    def log_held(self) -> Iterator[None]:
        """Hold the log's lock: the writer waits, and whatever comes meanwhile is one batch."""
        if self.kind == "sqlite":
            with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as holder:
                holder.execute("BEGIN IMMEDIATE")
                yield
                holder.rollback()
        else:
            with psycopg.connect(plain(_server().url(self.name))) as holder:
                holder.execute("SELECT * FROM log_state FOR UPDATE")
                yield
                holder.rollback()

    def save(self) -> Callable[[], None]:
        """Copy the database as it is now; call what is returned to bring the copy back.

        Nobody may be connected.
        """
        if self.kind == "sqlite":
            copy = self.state.parent / f"copy{next(_numbers)}"
            shutil.copytree(self.file.parent, copy)

            def restore() -> None:
                shutil.rmtree(self.file.parent)
                shutil.copytree(copy, self.file.parent)

            return restore
        copy_name = f"{self.name}_copy{next(_numbers)}"
        self.disconnect()
        self._create(copy_name, self.name)

        def restore_postgres() -> None:
            self._drop(self.name)
            self._create(self.name, copy_name)

        return restore_postgres

    def disconnect(self) -> int:
        """End every connection of others to it, and return how many there were."""
        with psycopg.connect(plain(_server().url()), autocommit=True) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [self.name],
            )
            return len(ended.fetchall())

    def remove(self) -> None:
        for name in self.made:
            self._drop(name)

    def _create(self, name: str, source: str) -> None:
        _admin(f"CREATE DATABASE {name} TEMPLATE {source}")
        if name not in self.made:
            self.made.append(name)

    def _drop(self, name: str) -> None:
        _admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def plain(url: str) -> str:
    """SQLAlchemy's URL as psycopg and users write it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def _admin(statement: str) -> None:
    with psycopg.connect(plain(_server().url()), autocommit=True) as connection:
        connection.execute(statement)


def _server():
    return postgres_server()


@functools.cache
def template() -> str:
    """Make the migrated database that the others are copied from, once a run."""
    db = Database(_server().create_database(TEMPLATE))
    migrate(db)
    db.close()
    return TEMPLATE


@functools.cache
def _compiled() -> Path:
    """Where the compiled policies of the run's first exchange go: compiling takes 0.2 s."""
    folder = tempfile.mkdtemp(prefix="exchange-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "cache"


@contextlib.contextmanager
def open_ledger(
    database: OwnDatabase, *, signer: Signer | None = None, keeper: Keeper | None = None
) -> Iterator[Ledger]:
    """A ledger on this database; opened again it must be given the same signer."""
    db = database.connect()
    keeper = keeper or Keeper(database.state / "checkpoints")
    try:
        ledger = Ledger(db, keeper, signer or Signer.generate("log.example/test"))
        try:
            yield ledger
        finally:
            ledger.close()
    finally:
        keeper.close()
        db.close()


@contextlib.asynccontextmanager
async def open_exchange(
    database: OwnDatabase, *, redecides=False, **settings
) -> AsyncIterator[Parts]:
    """Every part of an exchange but HTTP, as `exchange serve` builds them.

    Grants are decided anew when a test says so, unless `redecides`: a leaf that comes by itself
    would come between two reads of the judge.
    """
    cache, compiled = database.state / "cache", _compiled()
    if compiled.exists() and not cache.exists():
        shutil.copytree(compiled, cache)
    parts = await open_parts(database.settings(**settings))
    if not compiled.exists():
        shutil.copytree(cache, compiled)
    if not redecides:
        cancel(parts, "redecide")
    try:
        yield parts
    finally:
        await parts.close()


def cancel(parts: Parts, name: str) -> None:
    """End one of the tasks that run beside the requests."""
    (task,) = [task for task in parts.tasks if task.get_name() == name]
    task.cancel()


def some_event(ledger: Ledger, subject: str = "subject", **data) -> Event:
    return ledger.event("test.happened.v1", subject, data)


def entries(ledger: Ledger, count: int = 1, **options) -> Write:
    """A write of `count` entries and whatever else is given."""
    return Write([some_event(ledger, n=n) for n in range(count)], **options)


def once(key: str, outcome: dict | None = None, *, expires_ms: int = 2**53 - 1) -> Once:
    return Once(key, expires_ms, outcome)


def organisation(org_id: str, **more) -> Insert:
    row = {"id": org_id, "name_en": "A", "name_zh": "甲", "roles": ["sme"], "status": "active"}
    row |= {"attributes": {}, "holds": 0, "rev": 1, "created_ms": 0}
    return Insert(ORGANISATIONS, row | more)


def client(client_id: str, org_id: str) -> Insert:
    row = {"id": client_id, "org_id": org_id, "name": "a", "jwks": {}, "status": "active"}
    return Insert(CLIENTS, row | {"rev": 1, "created_ms": 0})


def rename(org_id: str, rev: int, name="B") -> Update:
    return Update(ORGANISATIONS, org_id, rev, {"name_en": name})


async def outcomes(ledger: Ledger, writes) -> list:
    """Commit all at once; what each came to, errors too."""
    return await asyncio.gather(*(ledger.commit(w) for w in writes), return_exceptions=True)


async def one_batch(database: OwnDatabase, ledger: Ledger, writes) -> list:
    """Commit an empty write, then all the others in one transaction; what these came to."""
    with database.log_held():
        plug = asyncio.create_task(ledger.commit(Write()))
        await asyncio.sleep(0.1)  # it has reached the lock
        tasks = [asyncio.create_task(ledger.commit(write)) for write in writes]
        await asyncio.sleep(0.1)
    await plug
    return await asyncio.gather(*tasks, return_exceptions=True)


def kinds(results) -> list[str]:
    return [type(result).__name__ for result in results]
