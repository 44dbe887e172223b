"""One exchange for the clients of others, with a platform and an SME at it."""

import pytest

from tests.support.actors import SME_ATTRIBUTES, join, operator
from tests.support.server import ExchangeServer


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("foreign") / "state") as running:
        yield running


@pytest.fixture(scope="session")
def by(server):
    return operator(server.state)


@pytest.fixture(scope="session")
def platform(by):
    return join(by, "Harbour Data 港口数据", ["platform"])


@pytest.fixture(scope="session")
def org_id(by):
    return join(by, "Small Analytics", ["sme"], SME_ATTRIBUTES).profile.organisation_id
