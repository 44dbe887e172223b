"""A provider's status list, fetched anew and followed, against what each grant's row says."""

import zlib
from collections.abc import Iterable

from exchange.access.model import Grant
from exchange.clock import now_ms
from exchange.formats.jwk import decode_base64url
from exchange.formats.status_list import StatusList
from exchange.parts import Parts
from exchange.status.model import STATUS_OF
from exchange.status.store import StatusStore


class StatusCheck:
    """Follows one provider's list from its first check on."""

    def __init__(self, parts: Parts, provider_id: str) -> None:
        self._store, self._provider = StatusStore(parts.ledger), provider_id
        self._followed: StatusList | None = None
        self._at = 0

    async def check(self, grants: Iterable[Grant]) -> None:
        size, listed = await self._store.listed(self._provider)
        if self._followed is None:
            self._followed, self._at = listed.copy(), size
        found = await self._store.since(self._at, (self._provider,))
        changes = found.of(self._provider)
        assert changes is not None
        self._followed.set_all(changes)
        self._at = found.log_index
        assert self._at == size, "somebody else was at work"
        said = 0
        for grant in grants:
            state = grant.state(now_ms())
            assert listed[grant.status_index] == STATUS_OF[state]
            said += listed[grant.status_index] != 0
            if state == "ended" and grant.status == "active":
                continue  # by the clock: no token outlives that, and its leaf follows
            assert self._followed[grant.status_index] == STATUS_OF[state]
        assert said == _said(listed), "the list speaks of what is no grant"


def _said(listed: StatusList) -> int:
    """How many statuses are not VALID; byte by byte, since nearly all bytes are zero."""
    unfolded = zlib.decompress(decode_base64url(listed.encode()["lst"]))
    return sum((byte >> shift & 3) != 0 for byte in unfolded if byte for shift in (0, 2, 4, 6))
