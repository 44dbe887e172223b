"""How a request shows its token: as a bearer of it, or with a DPoP proof (RFC 9449 section 7).

A nonce (section 8) is the second at which it was made and a MAC over it, so whoever holds the key
can tell its age and nobody keeps a list. Times are seconds since 1970, UTC.
"""

import hmac
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from exchange.formats.dpop import (
    LEEWAY,
    MAX_AGE,
    Proof,
    ProofRefused,
    check_proof,
    invalid,
    read_proof,
)
from exchange.formats.errors import FormatError
from exchange.formats.jwk import decode_base64url, encode_base64url

_SECONDS = 1024


class Nonces:
    """Makes nonces and tells their age (section 8), with a key that all of a server share."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._nonce = lru_cache(maxsize=_SECONDS)(self._made)

    def make(self, now: float) -> str:
        """Return the nonce of this second."""
        return self._nonce(int(now).to_bytes(5))

    def is_fresh(self, nonce: str | None, now: float, seconds: float = MAX_AGE) -> bool:
        """Whether it was made here (by any worker), at most so long ago."""
        try:
            stamp = decode_base64url(nonce or "")[:5]
        except FormatError:
            return False
        if len(stamp) != 5 or not hmac.compare_digest(self._nonce(stamp), nonce or ""):
            return False
        return -LEEWAY <= now - int.from_bytes(stamp) <= seconds

    def _made(self, stamp: bytes) -> str:
        mac = hmac.digest(self._key, b"dpop nonce\0" + stamp, "sha256")
        return encode_base64url(stamp + mac[:16])


class Replays:
    """Proofs that this process has met: memory only, for requests that leave no record.

    Who proves much pushes out proofs of its own key: one key has a share at most, and once all the
    room is taken no more than it has. So no client makes room for a replay of another's proof.
    """

    def __init__(self, capacity: int = 100_000, share: int = 10_000) -> None:
        self._by_key: OrderedDict[str, _Met] = OrderedDict()  # the longest unused first
        self._capacity, self._share, self._count = capacity, share, 0

    def is_new(self, proof: Proof, now: float) -> bool:
        """Whether it is met for the first time; from now on it is not."""
        key, mine = proof.once_key, self._by_key.get(proof.jkt)
        if mine is None:
            mine = self._by_key[proof.jkt] = _Met()
        else:
            self._by_key.move_to_end(proof.jkt)
        if mine.expires.get(key, 0) > now:
            return False
        self._count -= mine.forget(key)
        self._make_room(mine, now)
        mine.expires[key] = proof.expires
        mine.last = max(mine.last, proof.expires)
        self._count += 1
        return True

    def _make_room(self, mine: "_Met", now: float) -> None:
        while mine.expires and (next(iter(mine.expires.values())) <= now or self._is_full(mine)):
            mine.expires.popitem(last=False)
            self._count -= 1
        while (longest := next(iter(self._by_key.values()))) is not mine and (
            longest.last <= now or self._count >= self._capacity
        ):
            # Full, and `mine` holds nothing: a key costs a token, which the token endpoint counts.
            if longest.last > now and len(longest.expires) > 1:
                longest.expires.popitem(last=False)
                self._count -= 1
            else:
                self._by_key.popitem(last=False)
                self._count -= len(longest.expires)

    def _is_full(self, mine: "_Met") -> bool:
        return len(mine.expires) >= self._share or self._count >= self._capacity


class _Met:
    """The proofs of one key, the first met first, each with when it expires; and the last of it."""

    __slots__ = ("expires", "last")

    def __init__(self) -> None:
        self.expires: OrderedDict[str, float] = OrderedDict()
        self.last = 0.0

    def forget(self, key: str) -> int:
        """Forget one proof; return how many that were."""
        return 0 if self.expires.pop(key, None) is None else 1


@dataclass(frozen=True, slots=True)
class Shown:
    """How a request shows its token: the header's scheme, the token, its DPoP headers.

    `method` and `url` are the request's; the URL is made of settings and of the path.
    """

    scheme: str
    token: str
    proofs: Sequence[str]
    method: str
    url: str


def check_shown(
    shown: Shown, jkt: str | None, now: float, nonces: Nonces, replays: Replays
) -> Proof | None:
    """Judge how a token is shown that is bound to the key `jkt`, or to none; raises ProofRefused.

    A bound token is good with a proof only (section 7.1), an unbound one without it. Returns the
    proof: it is used up where the request leads to a write.
    """
    if jkt is None:
        if shown.scheme != "bearer" or shown.proofs:
            raise invalid("the token is bound to no key: send it as a bearer token")
        return None
    if shown.scheme != "dpop" or not shown.proofs:
        raise ProofRefused(
            "dpop_proof_missing", "the token is bound to a key: Authorization: DPoP, and a proof"
        )
    if len(shown.proofs) > 1:
        raise invalid("more than one DPoP header")
    proof = read_proof(shown.proofs[0])
    check_proof(proof, method=shown.method, url=shown.url, now=now, token=shown.token)
    if proof.jkt != jkt:
        raise invalid("it is signed with another key than the token is bound to")
    if not nonces.is_fresh(proof.nonce, now):
        raise ProofRefused("dpop_nonce_needed", "use the nonce of the header DPoP-Nonce")
    if not replays.is_new(proof, now):
        raise ProofRefused("dpop_replayed", "it was used before: sign one for each request")
    return proof
