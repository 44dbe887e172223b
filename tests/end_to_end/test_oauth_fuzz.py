"""3,000 malformed assertions, proofs, forms and headers: no 500, an error in the protocol's words.

100,000 of them: python -m tests.campaigns.fuzz_oauth
"""

import asyncio

from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.oauth_fuzz import fuzz, known_to
from tests.support.server import ExchangeServer

PLENTY = {"oauth_per_minute": "1000000", "oauth_failures_per_minute": "1000000"}


def test_malformed_requests_are_refused_in_words(tmp_path):
    with ExchangeServer(tmp_path / "state", **PLENTY) as server:
        by = operator(server.state)
        sme = join(by, "Small", ["sme"], SME_ATTRIBUTES)
        offering = publish(join(by, "Harbour", ["platform"]))
        grant = ask(sme, offering)["grant"]["id"]
        found = asyncio.run(fuzz(known_to(sme, offering["id"], grant), seed=1, count=3000))
        assert found.wrong == []
        assert found.statuses.total() == 3000
        # Neither all refused before anything was read, nor much let through.
        assert found.statuses[200] > 100
        assert found.statuses[400] > 1000
        assert found.statuses[401] > 50
        assert "unexpected_error" not in server.log()
        sme.sign_in()
