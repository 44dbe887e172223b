"""Read a whole log and recompute it: every entry hashed, every tile compared, every root met.

What was read and found good before is not asked for again; that the log still holds it follows from
the root, which is computed over the old hashes and the new ones. Any checkpoint shown before must
come out on the way, so a log that was cut or forked since is found out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from exchange.auditing.edge import Edge
from exchange.auditing.state import State
from exchange.formats.checkpoint import Checkpoint, parse
from exchange.formats.errors import FormatError
from exchange.formats.merkle import leaf_hash
from exchange.formats.note import Verifier, open_note
from exchange.formats.tiles import ENTRIES, WIDTH, Tile, decode_bundle

KEEP_EVERY = 16  # bundles
Fetch = Callable[[str], bytes | None]


class LogFault(Exception):
    """The log is not what it must be; `advice` says what to do.

    `note` is the checkpoint that the log has signed and that an earlier one contradicts.
    """

    def __init__(self, code: str, detail: str, advice: str, note: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail, self.advice, self.note = code, detail, advice, note


@dataclass(frozen=True, slots=True)
class Walked:
    """A log that was found whole."""

    checkpoint: Checkpoint
    note: str
    read: int  # entries, now
    tiles: int  # compared, now
    before: int | None  # the size of the checkpoint that was verified before


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """Read a checkpoint that the log's key signed; raises LogFault."""
    try:
        checkpoint = parse(open_note(note, [verifier]).text)
    except FormatError as error:
        raise LogFault(
            "checkpoint_not_signed",
            f"The checkpoint is not the log's: {error}.",
            "Check that the log key is the one you were given; then tell the operator.",
        ) from error
    if checkpoint.origin != verifier.name:
        raise LogFault(
            "checkpoint_of_another",
            f"The checkpoint is of {checkpoint.origin}, the key of {verifier.name}.",
            "Ask the operator for the key of this log, by another way than this exchange.",
        )
    return checkpoint


def walk(
    fetch: Fetch,
    verifier: Verifier,
    state: State,
    keep: Callable[[State], None],
    told: Callable[[int, int], None] = lambda _at, _size: None,
) -> Walked:
    """Verify the log that `fetch` reads (None: it has no such path), from where `state` stands.

    `keep` is called as it comes along, `told` with entries read and to be read. Raises LogFault.
    """
    note = _required(fetch, "log/checkpoint").decode("utf-8", "replace")
    now = open_checkpoint(note, verifier)
    shown = [open_checkpoint(old, verifier) for old in (state.seen, state.verified) if old]
    for old in shown:
        _require_growth(old, now, note)
    state.seen = note
    keep(state)

    whole = [state.edge.encode()]  # after the last bundle that was read and compared
    try:
        return _walk(fetch, state, keep, told, now, shown, whole)
    except LogFault:
        state.edge = Edge.decode(state.base)  # what was read since may be the fault's
        keep(state)
        raise
    except BaseException:  # an interrupt, or nobody answers any more: go on there the next time
        state.edge = Edge.decode(whole[0])
        keep(state)
        raise


def _walk(
    fetch: Fetch,
    state: State,
    keep: Callable[[State], None],
    told: Callable[[int, int], None],
    now: Checkpoint,
    shown: Sequence[Checkpoint],
    whole: list[list[str]],
) -> Walked:
    due = {each.size: each.root for each in shown if each.size > state.edge.size}
    edge, first, tiles = state.edge, state.edge.size, 0
    told(edge.size, now.size)
    for number, bundle in enumerate(_bundles(edge.size, now.size), 1):
        for leaf in _leaves(fetch, bundle, edge):
            for tile, expected in edge.add(leaf):
                _compare(fetch, tile, expected)
                tiles += 1
            if edge.size in due:
                _require_root(edge, edge.size, due[edge.size])
        told(edge.size, now.size)
        whole[0] = edge.encode()
        if number % KEEP_EVERY == 0:
            keep(state)
    for tile, expected in edge.partial():
        _compare(fetch, tile, expected)
        tiles += 1
    _require_root(edge, now.size, now.root)
    before = shown[-1].size if state.verified else None
    state.verified, state.base = state.seen, edge.encode()
    keep(state)
    return Walked(now, state.seen, edge.size - first, tiles, before)


def _require_growth(old: Checkpoint, now: Checkpoint, note: str) -> None:
    advice = (
        "Keep the state file and the checkpoint beside it: together they are a signed proof. Give "
        "both to the operator and the other auditors, and trust no answer of this exchange until "
        "it is explained."
    )
    if now.size < old.size:
        raise LogFault(
            "log_shrunk",
            f"The log shows {now.size} entries; it had signed for {old.size} before.",
            advice,
            note,
        )
    if now.size == old.size and now.root != old.root:
        raise LogFault(
            "log_forked", f"The log has signed two roots for its {now.size} entries.", advice, note
        )


def _require_root(edge: Edge, size: int, root: bytes) -> None:
    if edge.size != size or edge.root() != root:
        raise LogFault(
            "log_forked",
            f"The entries do not lead to the root that the log has signed for {size} entries.",
            "The log was changed since, or shows others something else. Keep the state file, tell "
            "the operator and the other auditors, and compare your checkpoints with theirs.",
        )


def _bundles(done: int, size: int) -> Iterator[Tile]:
    """Yield the bundles that hold entries from `done` on."""
    for index in range(done // WIDTH, -(-size // WIDTH)):
        yield Tile(ENTRIES, index, min(WIDTH, size - index * WIDTH))


def _leaves(fetch: Fetch, bundle: Tile, edge: Edge) -> list[bytes]:
    """Return the hashes of a bundle's new entries; those known from before must be the same."""
    data = _required(fetch, f"log/{bundle.path}")
    try:
        hashes = [leaf_hash(entry) for entry in decode_bundle(data, bundle.width)]
    except FormatError as error:
        raise _damaged(bundle, str(error)) from error
    known = edge.levels[0] if edge.levels else []
    if hashes[: len(known)] != known:
        raise _damaged(bundle, "it no longer holds the entries that it held before")
    return hashes[len(known) :]


def _compare(fetch: Fetch, tile: Tile, expected: bytes) -> None:
    if _required(fetch, f"log/{tile.path}") != expected:
        raise _damaged(tile, "it is not what the entries hash to")


def _required(fetch: Fetch, path: str) -> bytes:
    data = fetch(path)
    if data is None:
        raise LogFault(
            "log_incomplete",
            f"The log does not show {path}, though it signed for it.",
            "Run this again; if it stays away, tell the operator: the log has lost something.",
        )
    return data


def _damaged(tile: Tile, why: str) -> LogFault:
    first = tile.index * WIDTH ** (max(tile.level, 0) + 1)
    return LogFault(
        "log_damaged",
        f"{tile.path} (entries from {first} on) is wrong: {why}.",
        "Tell the operator, who can compare it with a backup; receipts of these entries tell which "
        "is right.",
    )
