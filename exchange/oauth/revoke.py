"""Token revocation (RFC 7009): a client gives up one of its access tokens before its time.

The token ends, its grant does not: POST /v1/grants/ID/revoke ends that, and with it every token of
it. A revoked token is a leaf, by a hash of its `jti`; each worker keeps those that are not over yet
in memory, follows the log for more, and reads them again when it starts. A connector that stands
alone learns of grants by its status list, and of single tokens by introspection.
"""

import hashlib
from collections.abc import Callable, Sequence

from sqlalchemy import select

from exchange.clock import now_ms
from exchange.formats.tokens import MAX_LIFETIME, ApiToken, GrantToken
from exchange.ledger.commit import ONCE
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Once, Write
from exchange.oauth.model import Party
from exchange.oauth.party import own_reads

PREFIX = "tok_"


class RevokedTokens:
    """Which tokens were revoked and are not over yet."""

    def __init__(self, clock: Callable[[], int] = now_ms) -> None:
        self._clock = clock
        self._until: dict[str, int] = {}

    async def read(self, ledger: Ledger) -> None:
        """Read those of before this process."""
        query = select(ONCE.c.key, ONCE.c.expires_ms).where(
            ONCE.c.key.startswith(_once_key(PREFIX), autoescape=True)
        )
        rows = await ledger.db.read(lambda c: c.execute(query).all())
        for key, expires_ms in rows:
            self._until[str(key).removeprefix(_once_key(""))] = int(expires_ms)

    def drop(self, ids: Sequence[str]) -> None:
        """Take note of what the log says was revoked: a cache's listener."""
        revoked = [each for each in ids if each.startswith(PREFIX)]
        if not revoked:
            return
        now = self._clock()
        self._until = {name: until for name, until in self._until.items() if until > now}
        self._until.update(dict.fromkeys(revoked, now + MAX_LIFETIME * 1000))

    def __contains__(self, jti: object) -> bool:
        """Whether the token of this `jti` was revoked."""
        return bool(self._until) and token_name(str(jti)) in self._until


def token_name(jti: str) -> str:
    """Return by which name the log speaks of a token."""
    return PREFIX + hashlib.sha256(jti.encode()).hexdigest()


def _once_key(name: str) -> str:
    return f"revoked:{name}"


async def revoke_token(ledger: Ledger, party: Party, token: ApiToken | GrantToken) -> bool:
    """Revoke one of the party's own tokens, once; whether it was its own. Raises Stale."""
    if token.client_id != party.client.id:
        return False
    name, expires_ms = token_name(token.jti), token.expires * 1000
    event = ledger.event(
        "token.revoked.v1",
        name,
        {
            "token": name,
            "client_id": party.client.id,
            "grant_id": token.grant_id if isinstance(token, GrantToken) else None,
            "expires_ms": expires_ms,
        },
        consumer_id=party.organisation.id,
    )
    # Kept a while longer than the token: another worker's clock may be behind ours.
    once = Once(_once_key(name), expires_ms + 120_000)
    await ledger.commit(Write([event], reads=own_reads(party), once=[once]))
    return True
