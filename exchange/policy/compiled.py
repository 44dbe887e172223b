"""Compiles OPA's Wasm module for this machine, once: 120-300 ms, from the cache 1 ms.

Loading machine code trusts whoever wrote the file, so the cache is a folder that only the service
may enter, and each file carries the digest of its content.
"""

import hashlib
import os
import stat
import tempfile
from importlib.metadata import version
from pathlib import Path

import wasmtime

from exchange.policy.model import PolicyError

_STACK_BYTES = 512 * 1024


def new_engine() -> wasmtime.Engine:
    """Return an engine that counts fuel. No epochs: they need a thread and the GIL to fire."""
    config = wasmtime.Config()
    config.consume_fuel = True
    config.memory_may_move = False
    config.max_wasm_stack = _STACK_BYTES
    return wasmtime.Engine(config)


def load_module(engine: wasmtime.Engine, wasm: bytes, cache: Path | None) -> wasmtime.Module:
    """Return the compiled module, from `cache` where it is there and whole.

    Raises `PolicyError` where others may write into the cache, or the module is no Wasm.
    """
    if cache is None:
        return _compile(engine, wasm)
    try:
        return _load_cached(engine, wasm, cache)
    except OSError as error:
        raise PolicyError(
            f"the policies' cache {cache} cannot be used: {error.strerror}"
        ) from error


def _load_cached(engine: wasmtime.Engine, wasm: bytes, cache: Path) -> wasmtime.Module:
    _private(cache)
    flags = f"fuel,memory_fixed,stack{_STACK_BYTES}"
    key = f"{hashlib.sha256(wasm).hexdigest()}\n{version('wasmtime')}\n{flags}"
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.cwasm"
    try:
        stored = path.read_bytes()
        digest, code = stored[:32], stored[32:]
        if hashlib.sha256(code).digest() == digest:
            return wasmtime.Module.deserialize(engine, code)
    except (FileNotFoundError, wasmtime.WasmtimeError):
        pass  # not there yet, or of another processor: compile and replace
    module = _compile(engine, wasm)
    code = bytes(module.serialize())
    _replace(path, hashlib.sha256(code).digest() + code)
    return module


def _compile(engine: wasmtime.Engine, wasm: bytes) -> wasmtime.Module:
    try:
        return wasmtime.Module(engine, wasm)
    except wasmtime.WasmtimeError as error:
        raise PolicyError(f"the compiled policies are not a Wasm module: {error}") from error


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PolicyError(
            f"{folder} holds compiled policies and must be a folder that only the service may "
            f"enter: chmod 700 {folder}, owned by the user who runs the exchange"
        )


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, suffix=".new")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
