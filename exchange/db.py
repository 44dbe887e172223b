"""Engine and sessions: SQLite (embedded) and PostgreSQL (production) by one URL.

Readers get read-only connections; the database's writes belong to the ledger's writer, which
takes its own connection with `writing()`. Durability is asserted, not hoped for: a commit that is
lost after its checkpoint was shown would be a fork of the log.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from exchange.errors import StartUpError, Unavailable

T = TypeVar("T")
READERS = 4
OUR_MISTAKES = (DataError, IntegrityError, ProgrammingError)


class Database:
    """One database: `await read(f)` from routes, `writing()` for the ledger's writer."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self.url.get_backend_name() != "postgresql":
            raise StartUpError(
                f"EXCHANGE_DATABASE_URL names {self.url.get_backend_name()}: "
                "use postgresql://… or leave it empty for SQLite."
            )
        self.readers = self._engine(writer=False)
        self.writer = self._engine(writer=True)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    def _engine(self, *, writer: bool) -> Engine:
        if self.is_sqlite:
            engine = create_engine(
                self.url,
                pool_size=1 if writer else READERS + 1,
                hide_parameters=True,
                json_serializer=_to_json,
                json_deserializer=from_json,
                connect_args={"check_same_thread": False, "timeout": 10},
            )
            event.listen(engine, "connect", _sqlite_setup(writer=writer))
            event.listen(engine, "begin", _begin_immediate if writer else _begin_deferred)
            return engine
        options = (
            "-c timezone=UTC -c lock_timeout=5s -c statement_timeout=15s "
            "-c idle_in_transaction_session_timeout=10s "
            # What was committed while a commit waited for the log's lock must be seen by it.
            "-c default_transaction_isolation=read\\ committed"
        )
        options += " -c synchronous_commit=on" if writer else " -c default_transaction_read_only=on"
        engine = create_engine(
            self.url,
            pool_size=2 if writer else READERS,
            max_overflow=0,
            pool_pre_ping=not writer,
            hide_parameters=True,
            json_serializer=_to_json,
            json_deserializer=from_json,
            connect_args={"options": options, "connect_timeout": 5},
        )
        # One statement of many rows instead of many executions of one row: a round less each.
        engine.dialect.use_insertmanyvalues_wo_returning = True
        return engine

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a read-only connection, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.read_now, query)

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Run `query` on a read-only connection in this thread."""
        try:
            with self.readers.connect() as connection:
                return query(connection)
        except DBAPIError as error:
            if isinstance(error, OUR_MISTAKES):
                raise
            raise Unavailable("database_unavailable", "The database does not answer.") from error

    async def point(self, query: Callable[[Connection], T]) -> T:
        """Run a look-up by key: in place on SQLite (microseconds, readers never wait), else `read`.

        A hop to a thread and back costs more than such a look-up does.
        """
        return self.read_now(query) if self.is_sqlite else await self.read(query)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction on the writer's connection; commits unless it raises."""
        with self.writer.begin() as connection:
            yield connection

    def assert_durable(self) -> None:
        """Refuse settings under which an acknowledged commit could be lost."""
        if self.is_sqlite:
            with self.writer.connect() as connection:
                mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
                synchronous = connection.execute(text("PRAGMA synchronous")).scalar_one()
            durable = mode == "wal" and int(synchronous) >= 2
        else:
            with self.writer.connect() as connection:
                durable = all(
                    connection.execute(text(f"SHOW {name}")).scalar_one() in accepted
                    for name, accepted in (
                        ("synchronous_commit", ("on", "remote_apply")),
                        ("fsync", ("on",)),
                        ("full_page_writes", ("on",)),
                    )
                )
        if not durable:
            raise StartUpError(
                "The database may lose an acknowledged commit (SQLite: journal_mode WAL and "
                "synchronous FULL; PostgreSQL: synchronous_commit, fsync and full_page_writes on)."
            )

    def close(self) -> None:
        """Close every connection."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.readers.dispose()
        self.writer.dispose()


def _to_json(value: Any) -> str:
    """Write a JSON column; a tenth of the time that `json.dumps` takes."""
    return to_json(value).decode()


def _sqlite_setup(*, writer: bool) -> Callable[[Any, Any], None]:
    def setup(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where sqlite3 does
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-65536")
        if not writer:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    return setup


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
