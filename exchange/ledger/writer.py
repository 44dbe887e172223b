"""The ledger's two threads: one commits batches, one keeps their checkpoints and releases them.

While a checkpoint is being synced to disk the next batch is already committing, so batches grow
by themselves under load and an idle ledger answers at once.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from exchange.clock import now_ms
from exchange.db import Database
from exchange.errors import Unavailable
from exchange.ledger.commit import Batch, Log, commit, forget_expired
from exchange.ledger.keep import Keeper
from exchange.ledger.outcome import cannot_tell, committed_before
from exchange.ledger.write import Committed, Exhausted, Met, Outcome, Stale, Write

NOT_DONE = "The audit log could not record this: not done."
UNKNOWN = "The audit log cannot confirm this: look whether it was done before you repeat it."
MAX_BATCH = 512
MAX_WAITING = 20_000
PURGE_EVERY = 200  # batches
OnRelease = Callable[[Sequence[Write], Sequence[str]], None]  # committed; ids of stale rows
log_to = logging.getLogger("exchange.ledger")


@dataclass(slots=True, eq=False)
class _Waiting:
    write: Write
    future: asyncio.Future[Committed | Met]
    loop: asyncio.AbstractEventLoop
    tries: int = 0


class Writer:
    """Collects writes from the event loop and commits them in groups."""

    def __init__(self, db: Database, log: Log, keeper: Keeper, on_release: OnRelease) -> None:
        self.log = log
        self._db, self._keeper, self._on_release = db, keeper, on_release
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._done: deque[tuple[Batch, list[_Waiting]]] = deque()
        self._release_wake = threading.Condition()
        self._closing = False
        self._all_committed = False
        self._broken = False
        self._batches = 0
        self._threads = [
            threading.Thread(target=self._commit_loop, name="ledger-commit", daemon=True),
            threading.Thread(target=self._release_loop, name="ledger-release", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    async def commit(self, write: Write) -> Committed | Met:
        """Commit one write; raises Stale, Exhausted or Unavailable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Committed | Met] = loop.create_future()
        gathered = self._gathered.setdefault(loop, [])
        if not gathered:
            loop.call_soon(self._hand_in, loop)
        gathered.append(_Waiting(write, future, loop))
        # A caller that goes away must not take back a write that is already on its way.
        return await asyncio.shield(future)

    def _hand_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Queue what one turn of the event loop brought forth: it makes one batch, not many."""
        waiting = self._gathered.pop(loop)
        with self._wake:
            if not (self._closing or self._broken or len(self._queue) > MAX_WAITING):
                self._queue.extend(waiting)
                self._wake.notify()
                return
        error = Unavailable("log_unavailable", "The audit log takes no entries now.")
        _set_results([(item, error) for item in waiting])

    @property
    def healthy(self) -> bool:
        """Whether both threads run and every checkpoint was kept."""
        return not self._broken and all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Finish what is waiting, then stop both threads."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        for thread in self._threads:
            thread.join(timeout=30)

    def _commit_loop(self) -> None:
        while waiting := self._take():
            self._carry_out(waiting)
        with self._release_wake:
            self._all_committed = True
            self._release_wake.notify()

    def _take(self) -> list[_Waiting]:
        """Wait for the next batch; empty once the writer closes and nothing waits."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            count = min(len(self._queue), MAX_BATCH)
            return [self._queue.popleft() for _ in range(count)]

    def _carry_out(self, waiting: list[_Waiting]) -> None:
        if self._broken:
            self._fail(waiting, NOT_DONE)
            return
        writes = [item.write for item in waiting]
        try:
            with self._db.writing() as connection:
                batch = commit(connection, self.log, writes, now_ms())
                self._batches += 1
                if self._batches % PURGE_EVERY == 0:
                    forget_expired(connection, now_ms())
        except Exception as error:
            self._after_failure(waiting, error)
            return
        self._hand_over(batch, waiting)

    def _after_failure(self, waiting: list[_Waiting], error: Exception) -> None:
        """Tell an unknown outcome from a failed one; one bad write must fail alone."""
        if not isinstance(error, SQLAlchemyError):
            log_to.error("ledger_commit_failed", exc_info=error)
        try:
            with self._db.writing() as connection:
                known = [committed_before(connection, self.log, item.write) for item in waiting]
                unsure = [item for item in waiting if cannot_tell(connection, item.write)]
        except Exception:
            log_to.exception("ledger_database_unavailable")
            self._fail(waiting, UNKNOWN)
            return
        for item, batch in zip(waiting, known, strict=True):
            if batch is not None:  # the answer to COMMIT was lost, the commit was not
                self._hand_over(batch, [item])
        self._fail(unsure, UNKNOWN)
        left = zip(waiting, known, strict=True)
        waiting = [item for item, batch in left if batch is None and item not in unsure]
        if len(waiting) != 1:
            for item in waiting:
                self._carry_out([item])
        elif waiting[0].tries < 1 and isinstance(error, SQLAlchemyError):
            waiting[0].tries += 1  # a lock time-out, a lost connection, a key taken meanwhile
            self._carry_out(waiting)
        else:
            log_to.error("ledger_write_failed", exc_info=error)
            self._fail(waiting, NOT_DONE)

    def _fail(self, waiting: list[_Waiting], detail: str) -> None:
        _resolve([(item, Unavailable("log_unavailable", detail)) for item in waiting])

    def _hand_over(self, batch: Batch, waiting: list[_Waiting]) -> None:
        with self._release_wake:
            self._done.append((batch, waiting))
            self._release_wake.notify()

    def _release_loop(self) -> None:
        while True:
            with self._release_wake:
                while not self._done:
                    if self._all_committed:
                        return
                    self._release_wake.wait()
                ready = list(self._done)
                self._done.clear()
            if not self._broken:
                self._keep(ready)
            if self._broken:
                for _, waiting in ready:
                    self._fail(waiting, UNKNOWN)
            else:
                self._release(ready)

    def _keep(self, ready: Sequence[tuple[Batch, list[_Waiting]]]) -> None:
        """Keep the newest checkpoint, which stands for those before it.

        Where that fails, what is committed stays so, but nothing leaves any more.
        """
        batch = max((batch for batch, _ in ready), key=lambda b: (b.note is not None, b.size))
        if batch.note is None:
            return
        try:
            self._keeper.keep(batch.note, batch.size)
        except OSError:
            log_to.exception("checkpoint_not_kept")
            self._broken = True

    def _release(self, ready: Sequence[tuple[Batch, list[_Waiting]]]) -> None:
        done: list[tuple[_Waiting, Outcome | Exception]] = []
        for batch, waiting in ready:
            done.extend(zip(waiting, batch.results, strict=True))
        writes = [item.write for item, result in done if isinstance(result, Committed)]
        stale = [row for _, r in done if isinstance(r, Stale) for _, row in r.rows]
        try:
            self._on_release(writes, stale)
        except Exception:
            log_to.exception("ledger_listener_failed")
        _resolve(done)


def _resolve(done: Sequence[tuple[_Waiting, Outcome | Exception]]) -> None:
    """Answer each caller on its own event loop, with one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting, Outcome | Exception]]] = {}
    for item, result in done:
        by_loop.setdefault(item.loop, []).append((item, result))
    for loop, items in by_loop.items():
        with contextlib.suppress(RuntimeError):  # a loop that is closed waits for nothing
            loop.call_soon_threadsafe(_set_results, items)


def _set_results(items: Sequence[tuple[_Waiting, Outcome | Exception]]) -> None:
    for item, result in items:
        if item.future.done():
            continue
        if isinstance(result, Stale | Exhausted | Exception):
            item.future.set_exception(result)
        else:
            item.future.set_result(result)
