"""The campaign of revocation to refusal over HTTP, some trials of it: it works, however fast."""

import pytest

from tests.support.server import ExchangeServer
from tests.support.status_latency import Bench


@pytest.mark.parametrize("trials", [3])
async def test_a_revocation_is_refused_while_other_calls_go_on(tmp_path, trials):
    with ExchangeServer(tmp_path / "state") as server:
        found, load = await Bench(server, tmp_path).run(trials, 100)
    assert len(found) == trials
    assert load.done > 0
    assert not load.wrong
