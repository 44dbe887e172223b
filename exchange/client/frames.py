"""What was granted as a table: pandas, pyarrow or DuckDB, which are extras of the package."""

import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from exchange.client import transfer
from exchange.client.core import Core
from exchange.client.errors import ClientError, MissingExtra
from exchange.client.flow import Flow, Work

As = Literal["pandas", "arrow", "pyarrow", "duckdb"]  # arrow and pyarrow are the same
_PACKAGES = {
    "arrow": ("pyarrow",),
    "pyarrow": ("pyarrow",),
    "pandas": ("pyarrow", "pandas"),
    "duckdb": ("pyarrow", "duckdb"),
}


def read(core: Core, grant: str, name: str | None, as_: As) -> Flow[Any]:
    """Read the files of a grant as one table; raises MissingExtra before anything is fetched."""
    need(as_)
    found = (yield from transfer.listed(core, grant)).objects
    wanted = [item for item in found if name is None or item.name == name]
    if not wanted:
        names = ", ".join(item.name for item in found) or "none"
        raise ClientError(f"{grant} delivers no file {name or ''}; there are: {names}.")
    readers = [reader_of(item.name) for item in wanted]
    folder = yield Work(lambda: tempfile.TemporaryDirectory(prefix="exchange-"))
    try:
        paths = []
        for item in wanted:
            path = transfer.inside(Path(folder.name), item.name)
            yield from transfer.fetch(core, f"grant:{grant}", item, path)
            paths.append(path)
        return (yield Work(lambda: _as(as_, [r(p) for r, p in zip(readers, paths, strict=True)])))
    finally:
        folder.cleanup()


def need(as_: As) -> None:
    """Import what a kind of table needs; raises MissingExtra."""
    if as_ not in _PACKAGES:
        raise ValueError(f"as_ is one of: {', '.join(_PACKAGES)}")
    for package in _PACKAGES[as_]:
        try:
            import_module(package)
        except ImportError as error:
            extra = "arrow" if as_ == "pyarrow" else as_
            raise MissingExtra(
                f"Reading as {as_} needs {package}: "
                f'pip install "data-sharing-exchange[{extra}]". `download` needs nothing.'
            ) from error


def reader_of(name: str) -> Callable[[Path], Any]:
    """Return what reads a file with this name; raises ClientError."""
    for endings, reader in _READERS.items():
        if name.lower().endswith(endings):
            return reader
    known = ", ".join(ending for endings in _READERS for ending in endings)
    raise ClientError(f"{name} is of no kind that is read as a table ({known}); download it.")


def _as(as_: As, tables: list[Any]) -> Any:
    import pyarrow

    table = (
        tables[0] if len(tables) == 1 else pyarrow.concat_tables(tables, promote_options="default")
    )
    if as_ == "pandas":
        return table.to_pandas()
    if as_ == "duckdb":
        import duckdb

        return duckdb.connect().from_arrow(table)
    return table


def _parquet(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.read_table(path, memory_map=False)


def _csv(path: Path) -> Any:
    from pyarrow import csv

    return csv.read_csv(path)


def _ipc(path: Path) -> Any:
    from pyarrow import feather

    return feather.read_table(path, memory_map=False)


def _stream(path: Path) -> Any:
    from pyarrow import ipc

    with path.open("rb") as file:
        return ipc.open_stream(file).read_all()


def _jsonl(path: Path) -> Any:
    from pyarrow import json

    return json.read_json(path)


_READERS: dict[tuple[str, ...], Callable[[Path], Any]] = {
    (".parquet", ".pq"): _parquet,
    (".csv", ".csv.gz"): _csv,
    (".arrow", ".feather", ".ipc"): _ipc,
    (".arrows",): _stream,
    (".jsonl", ".ndjson"): _jsonl,
}
