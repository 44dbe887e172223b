"""The vault: what lets the exchange into platforms' stores and services, sealed with master keys.

`<keys_dir>/master.json`, mode 0600, holds the keys; the database never does. A rotation puts a new
key in front (see rotate_master.py for which one seals); all of the file open. What is sealed names
its connection, organisation and origin, so that a secret moved to another row opens nothing.
"""

import fcntl
import hashlib
import hmac
import json
import logging
import re
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from exchange.connections.model import Connection, origin
from exchange.errors import Conflict, StartUpError, Unavailable
from exchange.formats import canonical
from exchange.formats.errors import FormatError
from exchange.ledger.keep import make_private_dir, write_durably

log_to = logging.getLogger("exchange.vault")
FILE = "master.json"
MAX_KEYS = 16
LOOK_SECONDS = 1.0
Secret = Mapping[str, str]
_TOKEN = re.compile("[A-Za-z0-9_-]+={0,2}")


class Unreadable(Exception):
    """A sealed secret that no key of the file opens, or that was sealed for another connection."""


@dataclass(frozen=True, slots=True)
class Place:
    """For what a secret was given: nothing else may have it."""

    connection_id: str
    org_id: str
    origin: str


def place_of(connection: Connection) -> Place:
    """Return for what a connection's secret is given."""
    return Place(connection.id, connection.org_id, origin(connection.url))


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A Fernet key, and an id that says nothing of it."""

    key: str = field(repr=False)

    @property
    def id(self) -> str:
        """Return 16 hex digits by which rows and leaves name the key."""
        return self.mac(b"exchange master key id")[:16]

    def mac(self, what: bytes) -> str:
        """Return HMAC-SHA-256 by this key, hex."""
        return hmac.new(self.key.encode(), what, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class _File:
    """What the file holds; the newest key first."""

    keys: tuple[MasterKey, ...]
    abandoned: frozenset[str]

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.keys]


class Vault:
    """The master keys of this process, as the file has them now."""

    def __init__(self, path: Path) -> None:
        """Read the keys; raises StartUpError."""
        self.path = path
        self._one_at_a_time = threading.Lock()
        self._stamp, self._looked = _stamp(path), time.monotonic()
        self._take(_read(path))

    @property
    def ids(self) -> list[str]:
        """The ids of the keys, the newest first."""
        self._look(always=True)
        return self._file.ids

    def seal(self, key_id: str, place: Place, secret: Secret) -> str:
        """Return a secret sealed with the key of this id; raises Unavailable without it."""
        key = self._key(key_id)
        if key is None:
            raise Unavailable("vault_unavailable", "The key that seals credentials is not here.")
        document = {"place": _place(place), "secret": dict(secret)}
        return Fernet(key.key).encrypt(canonical.encode(document)).decode("ascii")

    def open(self, sealed: str, key_id: str, place: Place) -> Secret:
        """Return a secret that was sealed for this place; raises Unreadable."""
        known = self._key(key_id) is not None
        if not _TOKEN.fullmatch(sealed):  # the decoder would pass over what follows the padding
            raise Unreadable("damaged")
        try:
            opened = self._all.decrypt(sealed)
        except (InvalidToken, ValueError):
            raise Unreadable("sealed by another key" if not known else "damaged") from None
        try:
            document: Any = canonical.decode(opened)
            place_then, secret = document["place"], document["secret"]
        except (FormatError, KeyError, TypeError):
            raise Unreadable("not what this version seals") from None
        if place_then != _place(place):
            raise Unreadable("sealed for another connection")
        return {str(name): str(value) for name, value in secret.items()}

    def digests(self, secret: Secret | None) -> Sequence[str]:
        """Return what stands for a secret where only equality counts, by each key, newest first.

        Without a key it cannot be guessed at, as a bare hash could.
        """
        self._look(always=True)
        said = b"exchange idempotency " + canonical.encode(None if secret is None else dict(secret))
        return [key.mac(said) for key in self._file.keys]

    def add_after(self, current: str) -> str:
        """Return the id of a key newer than the current: one that waits there, or a fresh one.

        Waits for the file's lock and the disk: not for the event loop.
        """
        with _locked(self.path):
            held = _read(self.path)
            if held.ids[0] == current:
                if len(held.keys) >= MAX_KEYS:
                    raise Conflict("too_many_master_keys", "Retire the old master keys first.")
                fresh = MasterKey(Fernet.generate_key().decode("ascii"))
                held = _File((fresh, *held.keys), held.abandoned)
                _write(self.path, held)
        self._look(always=True)
        return held.ids[0]

    def older_than(self, current: str) -> list[str]:
        """Return the ids of the keys behind the current: the ones that may be dropped."""
        ids = self.ids
        return ids[ids.index(current) + 1 :] if current in ids else []

    def drop(self, ids: Collection[str]) -> None:
        """Forget keys for good. Waits as `add_after` does."""
        with _locked(self.path):
            held = _read(self.path)
            kept = tuple(key for key in held.keys if key.id not in ids)
            _write(self.path, _File(kept, held.abandoned))
        self._look(always=True)

    def _key(self, key_id: str) -> MasterKey | None:
        self._look()
        found = self._by_id.get(key_id)
        if found is None:
            self._look(always=True)
            found = self._by_id.get(key_id)
        return found

    def _look(self, *, always: bool = False) -> None:
        """Read the file again if it changed; look at most once a second unless `always`."""
        with self._one_at_a_time:
            now = time.monotonic()
            if not always and now - self._looked < LOOK_SECONDS:
                return
            self._looked = now
            stamp = _stamp(self.path)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self._take(_read(self.path))
            except StartUpError:  # go on with what was read before: it still opens what it sealed
                log_to.error("master_keys_unreadable")

    def _take(self, held: _File) -> None:
        self._file = held
        self._by_id = {key.id: key for key in held.keys}
        self._all = MultiFernet([Fernet(key.key) for key in held.keys])


def open_vault(keys_dir: Path, used: Collection[str]) -> Vault:
    """Open the vault, or make its first key; raises StartUpError.

    `used` are the ids of keys by which something in the database is sealed.
    """
    path = make_private_dir(keys_dir, "keys") / FILE
    with _locked(path):  # of workers that start at once, one makes the key
        exists = path.exists()
        held = _read(path, may_be_empty=True) if exists else _File((), frozenset())
        lost = sorted(set(used) - set(held.ids) - held.abandoned)
        if lost:
            raise StartUpError(_missing(path, lost, exists=exists))
        if not held.keys:
            fresh = MasterKey(Fernet.generate_key().decode("ascii"))
            _write(path, _File((fresh,), held.abandoned))
    return Vault(path)


def _missing(path: Path, lost: Sequence[str], *, exists: bool) -> str:
    what = "has not every master key" if exists else "is missing: it holds the master keys"
    return (
        f"{path} {what} by which credentials in the database are sealed. Put back the file "
        "that belongs to this database. If it is lost for good, so are these credentials: add "
        f'"abandoned": {json.dumps(lost)} to the file (a new one begins with "keys": []), start '
        "again, and have the platforms replace them."
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path, *, may_be_empty: bool = False) -> _File:
    try:
        document: Any = json.loads(path.read_bytes())
        keys = tuple(MasterKey(str(key)) for key in document["keys"])
        for key in keys:
            Fernet(key.key)
        abandoned = frozenset(str(each) for each in document.get("abandoned", []))
        if not (keys or may_be_empty) or len({key.key for key in keys}) != len(keys):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # Not even as a cause: a damaged key is still nearly a key.
        raise StartUpError(
            f"The master keys in {path} cannot be read. Restore the file that belongs to this "
            "database; without it the credentials of platforms' connections cannot be opened."
        ) from None
    return _File(keys, abandoned)


def _write(path: Path, held: _File) -> None:
    document = {"keys": [key.key for key in held.keys], "abandoned": sorted(held.abandoned)}
    write_durably(path, (json.dumps(document, indent=1) + "\n").encode())


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _place(place: Place) -> dict[str, str]:
    return {
        "connection": place.connection_id,
        "organisation": place.org_id,
        "origin": place.origin,
    }
