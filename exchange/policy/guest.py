"""One instance of OPA's Wasm module in its own memory (OPA documentation, "Wasm": ABI 1.2).

The call goes to wasmtime's C function directly, its arguments laid out once: 35 µs a decision
beside 78 through `wasmtime.Func.__call__`, which asks for the function's type each time.
"""

import ctypes
import json
from typing import Any, Final

import wasmtime
from wasmtime import MemoryType
from wasmtime import _ffi as ffi

from exchange.policy.model import PolicyUnavailable

FUEL: Final = 200_000_000
"""Wasm instructions a decision may take, about: 100 times what the largest document takes."""
MEMORY_BYTES: Final = 64 * 1024 * 1024
_LOAD_FUEL: Final = 5 * FUEL
_PAGE: Final = 65536
_RESULT_BYTES: Final = 256 * 1024

# What a module may import besides its memory. Aborting, or asking for a builtin that is not native,
# ends the evaluation: no Python runs inside the guest.
_TRAPS: Final = """(module
  (func (export "opa_abort") (param i32) unreachable)
  (func (export "opa_builtin0") (param i32 i32) (result i32) unreachable)
  (func (export "opa_builtin1") (param i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin2") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin3") (param i32 i32 i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin4") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable)
)"""


class Guest:
    """Policies and their data, loaded and ready to evaluate. Not for two threads at once.

    After any exception the instance is in an unknown state: drop it.
    """

    def __init__(
        self, engine: wasmtime.Engine, module: wasmtime.Module, data: bytes, entrypoint: str
    ) -> None:
        """Instantiate (1-2 ms); raises `PolicyUnavailable` for a module that is not ours to run."""
        store, memory, exports = _instantiate(engine, module)

        def function(name: str) -> wasmtime.Func:
            found = exports[name]
            if not isinstance(found, wasmtime.Func):
                raise PolicyUnavailable(f"the policies' {name} is no function")
            return found

        def listing(name: str) -> dict[str, int]:
            offset = function("opa_json_dump")(store, function(name)(store))
            return json.loads(self._text(offset))  # type: ignore[no-any-return]

        self._store, self._memory = store, memory
        # The memory never moves (memory_may_move), it only grows: the address holds for good.
        self._address = ctypes.addressof(memory.data_ptr(store).contents)
        if needed := listing("builtins"):
            raise PolicyUnavailable(f"the policies need builtins that are not native: {needed}")
        entry = listing("entrypoints").get(entrypoint)
        if entry is None:
            raise PolicyUnavailable(f"the policies have no entry point {entrypoint}")

        start = function("opa_malloc")(store, len(data))
        memory.write(store, data, start)
        parsed = function("opa_json_parse")(store, start, len(data))
        if parsed == 0:
            raise PolicyUnavailable("the policies' data is not JSON")
        self._heap: int = function("opa_heap_ptr_get")(store)
        self._prepare_call(function("opa_eval"), entry, parsed)

    def _prepare_call(self, function: wasmtime.Func, entry: int, data: int) -> None:
        """Lay out opa_eval(0, entry, data, input, input length, heap, 0 = JSON)."""
        self._context = self._store._context()
        self._function = ctypes.byref(function._func)
        self._arguments = (ffi.wasmtime_val_t * 7)()
        for slot, value in zip(self._arguments, (0, entry, data, self._heap, 0, 0, 0), strict=True):
            slot.kind = ffi.WASMTIME_I32
            slot.of.i32 = value
        self._result = (ffi.wasmtime_val_t * 1)()
        self._kept = function

    def evaluate(self, body: bytes, fuel: int = FUEL) -> Any:
        """Return the entry point's value for one input document; raises `PolicyUnavailable`.

        The heap starts anew for each decision: a kept one is faster and was seen to read memory
        after it was freed.
        """
        size = len(body)
        self._store.set_fuel(fuel)
        room = self._memory.data_len(self._store) - self._heap - size
        if room < 0:
            self._memory.grow(self._store, -room // _PAGE + 1)
        ctypes.memmove(self._address + self._heap, body, size)
        self._arguments[4].of.i32 = size
        self._arguments[5].of.i32 = self._heap + size
        trap = ctypes.POINTER(ffi.wasm_trap_t)()
        error = ffi.wasmtime_func_call(
            self._context, self._function, self._arguments, 7, self._result, 1, ctypes.byref(trap)
        )
        if error:
            raise PolicyUnavailable(
                f"the policies failed: {wasmtime.WasmtimeError._from_ptr(error)}"
            )
        if trap:
            raise PolicyUnavailable(f"the policies were stopped: {_why(trap, self._store)}")
        found = json.loads(self._text(self._result[0].of.i32))
        if type(found) is not list or len(found) != 1 or found[0].keys() != {"result"}:
            raise PolicyUnavailable("the policies gave no result")
        return found[0]["result"]

    def fuel_left(self) -> int:
        """Return what the last evaluation left of its fuel."""
        return int(self._store.get_fuel())

    def _text(self, offset: int) -> bytes:
        """Return the zero-terminated bytes at an offset the guest gave; it may lie."""
        offset &= 0xFFFFFFFF
        most = min(_RESULT_BYTES, self._memory.data_len(self._store) - offset)
        for length in (4096, most):
            if 0 < length <= most:
                text = ctypes.string_at(self._address + offset, length)
                end = text.find(b"\0")
                if end >= 0:
                    return text[:end]
        raise PolicyUnavailable("the policies' result has no end")


def _instantiate(
    engine: wasmtime.Engine, module: wasmtime.Module
) -> tuple[wasmtime.Store, wasmtime.Memory, dict[str, Any]]:
    """Return a store with its limits set, its memory, and what the module exports."""
    store = wasmtime.Store(engine)
    store.set_limits(memory_size=MEMORY_BYTES, instances=2, memories=1)
    store.set_fuel(_LOAD_FUEL)
    pages = [kind.limits.min for i in module.imports if isinstance(kind := i.type, MemoryType)]
    memory = wasmtime.Memory(store, MemoryType(wasmtime.Limits(max(pages), MEMORY_BYTES // _PAGE)))
    traps = wasmtime.Instance(store, wasmtime.Module(engine, _TRAPS), []).exports(store)
    provided: dict[str | None, Any] = {"memory": memory, **dict(traps.items())}
    for wanted in module.imports:
        if wanted.module != "env" or wanted.name not in provided:
            raise PolicyUnavailable(f"the policies import {wanted.module}.{wanted.name}")
    instance = wasmtime.Instance(store, module, [provided[i.name] for i in module.imports])
    return store, memory, dict(instance.exports(store).items())


def _why(trap: Any, store: wasmtime.Store) -> str:
    reason = wasmtime.Trap._from_ptr(trap)
    if store.get_fuel() == 0:
        return "out of fuel"
    return reason.message.strip().splitlines()[-1]
