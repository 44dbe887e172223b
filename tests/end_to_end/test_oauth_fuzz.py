"""3,000 malformed assertions, grants, proofs, forms and registrations: refused in words, never 500.

Memory too: what the server keeps beyond the first fifth. 100,000 of them, with how long the slowest
may take: python -m tests.campaigns.fuzz_oauth
"""

import asyncio

from tests.support.malformed_oauth import WAYS
from tests.support.oauth_fuzz import PLENTY, WAYS_IN, World, fuzz, resident_mib
from tests.support.server import ExchangeServer

# 2,400 requests that each left behind what they may send at most (32 KiB) would make 75 MiB, and
# 10 KiB each still 23; what is rightly kept for some minutes makes 2 or 3.
ALLOWED_GROWTH_MIB = 16


def test_malformed_requests_are_refused_in_words(tmp_path):
    with ExchangeServer(tmp_path / "state", **PLENTY) as server:
        world = World(server)
        knowns = [world.known(), world.known()]
        found = asyncio.run(fuzz(knowns[0], seed=1, count=600))
        warm = resident_mib(server.process.pid)
        found.add(asyncio.run(fuzz(knowns[1], seed=2, count=2400)))
        grown = resident_mib(server.process.pid) - warm
        log = server.log()
        print(f"{found.table()}\nslowest {found.slowest}; grown by {grown:.1f} MiB")
        assert found.wrong == []
        assert found.total() == 3000
        assert "unexpected_error" not in log
        assert not [each for known in knowns for each in known.secrets() if each in log]
        assert grown < ALLOWED_GROWTH_MIB
        # Each way in was tried: neither all refused before anything was read, nor much let through.
        assert {what for what, _status in found.answers} == WAYS_IN
        for way in WAYS:
            assert found.of(f"token by {way}", 200) > 4, way
            assert found.of(f"token by {way}", 400) > 100, way
            assert found.of(f"introspect by {way}", 200) > 0, way
            assert found.of(f"par by {way}", 201) > 0, way
        assert found.of("register", 201) > 5  # with a valid invitation, and read to the end
        assert found.of("register", 400) > 80
        assert found.of("me", 200) > 20
        assert found.of("me", 401) > 100
