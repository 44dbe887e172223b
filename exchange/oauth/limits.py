"""Rate limits of the authorization server, by the library `limits`, in this worker's memory.

What a client proved, and so used up, is counted as that client's. What fails is counted by where it
comes from, a replay of what was used up too, and keeps nobody out who has the right key: nobody can
lock a victim out by failing in its name, nor from behind the same proxy. Each of several workers
holds its share of the whole.
"""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from exchange.clock import now_ms
from exchange.oauth.model import Refused


class EndpointLimits:
    """Counts what a client asks, and what fails from an address, a minute."""

    def __init__(self, asked: int, failed: int, workers: int = 1) -> None:
        """Take limits a minute for all workers together."""
        self._asked = RateLimitItemPerMinute(max(1, asked // workers))
        self._failed = RateLimitItemPerMinute(max(1, failed // workers))
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def admit(self, client_id: str) -> None:
        """Let a client that proved itself go on; raises Refused (429) beyond its limit.

        Nothing that it sent is used up then.
        """
        if not self._limiter.test(self._asked, client_id):
            raise self._slow_down(self._asked, client_id, "This client asks too often.")

    def count(self, client_id: str) -> None:
        """Count one request of a client, whose proofs were used up by it just now."""
        self._limiter.hit(self._asked, client_id)

    def fail(self, address: str) -> None:
        """Count one failure; raises Refused (429), which says no more, beyond the limit."""
        if not self._limiter.hit(self._failed, "from", address):
            raise self._slow_down(self._failed, address, "Too much fails from where you are.")

    def is_over(self, address: str) -> bool:
        """Whether so much failed from there that nothing is looked up for what fails now."""
        return not self._limiter.test(self._failed, "from", address)

    def _slow_down(self, item: RateLimitItemPerMinute, name: str, why: str) -> Refused:
        named = (name,) if item is self._asked else ("from", name)
        stats = self._limiter.get_window_stats(item, *named)
        seconds = max(1, round(stats.reset_time - self._now()))
        return Refused(
            "slow_down",  # as RFC 8628 section 3.5 names it
            f"{why} Try again in {seconds} s.",
            status=429,
            headers={"Retry-After": str(seconds)},
        )

    @staticmethod
    def _now() -> float:
        return now_ms() / 1000
