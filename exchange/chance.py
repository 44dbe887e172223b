"""Random bytes of the operating system, fetched in bulk: single calls cost a tenth of a request."""

import os
import threading

POOL_BYTES = 8192
_lock = threading.Lock()
_pool = b""
_used = 0


def random_bytes(count: int) -> bytes:
    """Return `count` fresh bytes of `os.urandom`; no byte is ever given twice."""
    global _pool, _used
    with _lock:
        if _used + count > len(_pool):
            _pool, _used = os.urandom(max(POOL_BYTES, count)), 0
        taken = _pool[_used : _used + count]
        _used += count
    return taken


def _forget() -> None:
    """A forked child must not hand out what its parent does."""
    global _pool, _used, _lock
    _pool, _used, _lock = b"", 0, threading.Lock()


os.register_at_fork(after_in_child=_forget)
