"""Opening a log: make it once, and refuse to sign where the database is behind what was shown."""

import fcntl
import secrets
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.exc import IntegrityError

from exchange.clock import now_ms
from exchange.db import Database
from exchange.errors import StartUpError
from exchange.formats import checkpoint as checkpoints
from exchange.formats.checkpoint import Checkpoint
from exchange.formats.errors import FormatError
from exchange.formats.merkle import EMPTY_ROOT, HASH_SIZE, fold
from exchange.formats.note import Signer, Verifier, open_note
from exchange.ids import new_log_code
from exchange.ledger.commit import Log, commit
from exchange.ledger.keep import Keeper, kept_notes, make_private_dir, write_durably
from exchange.ledger.tables import LogState
from exchange.ledger.tree import StoredTree
from exchange.ledger.write import Write, new_event

LOG = LogState.__table__  # type: ignore[attr-defined]

BEHIND = """The audit log refuses to sign.
A checkpoint of {shown} entries was already released (kept in {folder}),
and the database {problem}. Signing on would fork the log: receipts that people
hold would contradict it. What to do:
  - restore a copy of the database that holds at least {shown} entries; or
  - if none is left, keep this folder as evidence, and start a new log under a new
    origin in an empty EXCHANGE_STATE_DIR and database; tell auditors the old head:
{head}"""


def load_signer(keys_dir: Path, origin: str) -> Signer:
    """Read the log's key, or make it with a random and persistent origin."""
    path = make_private_dir(keys_dir, "keys") / "log.key"
    if path.exists():
        try:
            signer = Signer.parse(path.read_text("utf-8").strip())
        except (FormatError, UnicodeDecodeError) as error:
            raise StartUpError(f"The log's key in {path} cannot be read: {error}") from error
        if origin and signer.name != origin:
            raise StartUpError(
                f"EXCHANGE_LOG_ORIGIN is {origin}, but the log's key is for {signer.name}. "
                "An origin never changes: unset it, or use another EXCHANGE_STATE_DIR."
            )
        return signer
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of workers that start at once, one makes the key
        if path.exists():
            return load_signer(keys_dir, origin)
        return _make_signer(path, origin)


def _make_signer(path: Path, origin: str) -> Signer:
    name = origin or f"exchange.invalid/log/{secrets.token_hex(8)}"
    signer = Signer.generate(name)
    write_durably(path, (signer.secret + "\n").encode())
    return signer


def open_log(db: Database, keeper: Keeper, signer: Signer) -> Log:
    """Return the log that this key signs, made if the database holds none; raises StartUpError."""
    with db.readers.connect() as connection:
        kept = _newest_kept(keeper.folder, signer)
        row = connection.execute(select(LOG).where(LOG.c.origin == signer.name)).one_or_none()
        if row is not None:
            log = Log(row.log_id, row.origin, signer)
            _check(connection, log, row, kept, keeper.folder)
            return log
        if kept is not None:
            raise StartUpError(_behind(kept, keeper.folder, "does not know this log", signer))
        # Another worker may have made this very log since.
        others = select(LOG.c.origin).where(LOG.c.origin != signer.name).limit(1)
        stranger = connection.execute(others).scalar_one_or_none()
    if stranger is not None:
        raise StartUpError(
            f"The database holds the log {stranger}, but the log's key is for {signer.name}. "
            "Put the key that belongs to it back into the keys folder."
        )
    return _create(db, keeper, signer)


def _create(db: Database, keeper: Keeper, signer: Signer) -> Log:
    log = Log(new_log_code(), signer.name, signer)
    empty = Checkpoint(signer.name, 0, EMPTY_ROOT)
    opened = new_event(log.log_id, log.origin, "log.opened.v1", log.log_id, {"origin": log.origin})
    row = {
        "log_id": log.log_id,
        "origin": log.origin,
        "verifier_key": signer.vkey,
        "size": 0,
        "compact_range": b"",
        "note": signer.sign(empty.encode()),
        "created_ms": now_ms(),
    }
    try:
        with db.writing() as connection:
            connection.execute(insert(LOG), row)
            batch = commit(connection, log, [Write(events=[opened])], now_ms())
    except IntegrityError:
        # Two workers met here: the origin is unique, the second takes what the first made.
        with db.readers.connect() as connection:
            query = select(LOG.c.log_id).where(LOG.c.origin == log.origin)
            return Log(connection.execute(query).scalar_one(), log.origin, signer)
    if batch.note is not None:
        keeper.keep(batch.note, batch.size)
    return log


def _newest_kept(folder: Path, signer: Signer) -> Checkpoint | None:
    kept = []
    for note in kept_notes(folder):
        try:
            kept.append(checkpoints.parse(open_note(note, [Verifier.parse(signer.vkey)]).text))
        except FormatError as error:
            raise StartUpError(
                f"A checkpoint kept in {folder} is not one of this log ({error}). Each log needs "
                "a checkpoint folder of its own; a damaged file must be restored, not deleted."
            ) from error
    return max(kept, key=lambda checkpoint: checkpoint.size, default=None)


def _check(
    connection: Connection,
    log: Log,
    row: Row[Any],
    kept: Checkpoint | None,
    folder: Path,
) -> None:
    """Demand that stored tiles give the root shown before, and the root signed last.

    The compact range must give it too, since the next checkpoint is signed over that.
    """
    tree = StoredTree(connection, log.log_id)
    signer, size, note = log.signer, row.size, row.note
    packed = row.compact_range
    edge = [packed[i : i + HASH_SIZE] for i in range(0, len(packed), HASH_SIZE)]
    if kept is not None and size < kept.size:
        problem = f"holds only {size} (restored from an older copy?)"
        raise StartUpError(_behind(kept, folder, problem, signer))
    try:
        if kept is not None and tree.root(kept.size) != kept.root:
            problem = f"gives another root at {kept.size}"
            raise StartUpError(_behind(kept, folder, problem, signer))
        own = checkpoints.parse(open_note(note, [Verifier.parse(signer.vkey)]).text)
        if own.size != size or tree.root(size) != own.root or fold(edge) != own.root:
            raise StartUpError(
                "The audit log refuses to sign: the database's own checkpoint does not match its "
                f"entries (size {size}). Restore an undamaged copy of the database."
            )
        tree.check(size)
    except (LookupError, FormatError) as error:
        raise StartUpError(
            f"The audit log refuses to sign: stored tiles or checkpoints are damaged ({error}). "
            "Restore an undamaged copy of the database."
        ) from error


def _behind(kept: Checkpoint, folder: Path, problem: str, signer: Signer) -> str:
    head = "\n".join("      " + line for line in kept.encode().splitlines())
    head += "\n      key " + signer.vkey
    return BEHIND.format(shown=kept.size, folder=folder, problem=problem, head=head)
