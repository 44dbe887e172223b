"""Two acts at once, many times: what the tests of races share.

`RACE_ROUNDS` is how often each race is run; tests/campaigns/races.py asks for many.
"""

import asyncio
import os

from exchange.errors import ExchangeError
from tests.support.desk import World

ROUNDS = int(os.environ.get("RACE_ROUNDS", "20"))


def on(world: World, parts) -> World:
    """The same world, as another worker serves it."""
    other = World(parts, world.operator)
    other.platform, other.sme, other.offering = world.platform, world.sme, world.offering
    return other


async def at_once(*calls):
    """Start all in one turn; whatever an act may not do any more is an answer too."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        assert not isinstance(result, BaseException) or isinstance(result, ExchangeError), result
    return results


def purposes(n: int) -> str:
    return ("logistics_planning", "scientific_research")[n % 2]


class Pace:
    """Lets the quicker of two acts wait, ever longer until the other wins: so both orders come."""

    def __init__(self) -> None:
        self.lead, self._step, self._was_first = 0.0, 0.002, None

    async def at_once(self, one, other):
        """Start both; the first waits a little, or the other."""
        return await at_once(_later(self.lead, one), _later(-self.lead, other))

    def learn(self, *, was_first: bool) -> None:
        """Let `one` begin later after it came first, earlier after it came last."""
        again = self._was_first == was_first
        self._step, self._was_first = self._step * (1.5 if again else 0.5), was_first
        self.lead += self._step if was_first else -self._step


async def _later(seconds: float, work):
    if seconds > 0:
        await asyncio.sleep(seconds)
    return await work
