"""What was computed once, remembered by a key that names it for good."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """For threads; the same asked for twice at once is computed once. The oldest are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[K, V] = OrderedDict()
        self._busy: dict[K, Lock] = {}
        self._lock = Lock()

    def find(self, key: K, work: Callable[[], V]) -> V:
        """Return what `work` gives, from memory where it was done before; what it raises goes."""
        with self._lock:
            busy = self._busy.setdefault(key, Lock())
        try:
            with busy:
                with self._lock:
                    if key in self._known:
                        self._known.move_to_end(key)
                        return self._known[key]
                found = work()
                with self._lock:
                    self._known[key] = found
                    if len(self._known) > self._most:
                        self._known.popitem(last=False)
                return found
        finally:
            with self._lock:
                self._busy.pop(key, None)
