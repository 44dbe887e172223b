"""Policies in this process: OPA's Wasm build on wasmtime, on the event loop's own thread."""

import threading
from pathlib import Path
from typing import Any

import wasmtime

from exchange.policy.bundle import Bundle
from exchange.policy.compiled import load_module, new_engine
from exchange.policy.contract import CheckedInput
from exchange.policy.guest import FUEL, Guest
from exchange.policy.model import PolicyUnavailable


class EmbeddedEvaluator:
    """Keeps one instance; replaces it after any failure.

    A decision takes some 30 µs, less than handing it to a thread: beside a busy one it would wait
    for the GIL. The lock is for callers that do have threads.
    """

    def __init__(self, bundle: Bundle, cache: Path | None = None, *, fuel: int = FUEL) -> None:
        self._engine = new_engine()
        self._module = load_module(self._engine, bundle.wasm, cache)
        self._data = bundle.data
        self._entrypoint = bundle.entrypoint
        self._fuel = fuel
        self._lock = threading.Lock()
        self._guest: Guest | None = self._new_guest()

    async def evaluate(self, checked: CheckedInput) -> object:
        """Evaluate now; the event loop waits, for as long as the fuel lasts at most."""
        return self.evaluate_now(checked.body)

    def evaluate_now(self, body: bytes) -> Any:
        """Return the entry point's value; after any exception the instance is a new one."""
        with self._lock:
            guest, self._guest = self._guest or self._new_guest(), None
            value = guest.evaluate(body, self._fuel)
            self._guest = guest
            return value

    async def aclose(self) -> None:
        """Free the instance's memory."""
        with self._lock:
            self._guest = None

    def _new_guest(self) -> Guest:
        try:
            return Guest(self._engine, self._module, self._data, self._entrypoint)
        except (wasmtime.WasmtimeError, wasmtime.Trap, ValueError) as error:
            raise PolicyUnavailable(f"the compiled policies do not start: {error}") from error
