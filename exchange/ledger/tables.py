"""Tables of the log. Each key starts with `log_id`, so one database can hold many logs."""

from typing import Any, ClassVar

from sqlalchemy import JSON, Column, LargeBinary
from sqlmodel import Field, SQLModel

from exchange.columns import big


class LogState(SQLModel, table=True):
    """The one serial point: how large the log is, and its compact range (ledger notes)."""

    __tablename__: ClassVar[str] = "log_state"
    log_id: str = Field(primary_key=True)
    origin: str = Field(unique=True)
    verifier_key: str
    size: int = Field(sa_column=big())
    compact_range: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    note: str
    created_ms: int = Field(sa_column=big())


class Entry(SQLModel, table=True):
    """One leaf: the canonical bytes that were hashed, and what look-ups need beside them."""

    __tablename__: ClassVar[str] = "entries"
    log_id: str = Field(primary_key=True)
    leaf_index: int = Field(sa_column=big(primary_key=True, autoincrement=False))
    event_id: str = Field(unique=True)
    type: str
    subject: str = Field(index=True)
    consumer_id: str | None = None
    provider_id: str | None = None
    time_ms: int = Field(sa_column=big())
    leaf_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    entry: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class StoredCheckpoint(SQLModel, table=True):
    """Each released checkpoint; the key forbids two roots of one size."""

    __tablename__: ClassVar[str] = "checkpoints"
    log_id: str = Field(primary_key=True)
    size: int = Field(sa_column=big(primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    note: str


class Tile(SQLModel, table=True):
    """A full tile: 256 hashes of 32 bytes, and the root over them (one hash a level up)."""

    __tablename__: ClassVar[str] = "tiles"
    log_id: str = Field(primary_key=True)
    level: int = Field(primary_key=True)
    tile_index: int = Field(sa_column=big(primary_key=True, autoincrement=False))
    hashes: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class OnceKey(SQLModel, table=True):
    """What may happen once: assertion ids, idempotency keys, questions asked.

    Keyed by client, never by log, or an assertion could be replayed into another log.
    """

    __tablename__: ClassVar[str] = "once_keys"
    key: str = Field(primary_key=True)
    outcome: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    expires_ms: int = Field(sa_column=big(index=True))


class Counter(SQLModel, table=True):
    """What is spent: uses, sessions, anything with a ceiling."""

    __tablename__: ClassVar[str] = "counters"
    log_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    value: int = Field(sa_column=big())


class FollowerRow(SQLModel, table=True):
    """How far a follower of the log has come: `next_index` is the entry that it handles next."""

    __tablename__: ClassVar[str] = "followers"
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    next_index: int = Field(sa_column=big())
    rev: int


class LogRef(SQLModel, table=True):
    """Which entries are about what; see exchange/ledger/refs.py."""

    __tablename__: ClassVar[str] = "log_refs"
    log_id: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    leaf_index: int = Field(sa_column=big(primary_key=True, autoincrement=False))


class LogHours(SQLModel, table=True):
    """Between which indexes the entries of an hour lie (hours since 1970), a row an indexed chunk.

    Entries' times are not in order: a time is that of the event, an index that of the commit.
    """

    __tablename__: ClassVar[str] = "log_hours"
    log_id: str = Field(primary_key=True)
    hour: int = Field(sa_column=big(primary_key=True, autoincrement=False))
    first_index: int = Field(sa_column=big(primary_key=True, autoincrement=False))
    last_index: int = Field(sa_column=big())
