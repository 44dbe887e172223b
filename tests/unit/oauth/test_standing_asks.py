"""The hint of which grant answered an ask: of that very ask only, and only so many."""

from dataclasses import replace

import pytest

from exchange.access.model import Ask
from exchange.oauth.model import OneOffering
from exchange.oauth.standing_asks import Found, StandingAsks

ASK = Ask("off_1", "logistics_planning", ("read",), 30, {"why": "a"}, "sha256:1")
ASKED = OneOffering("dataset", ASK)
FOUND = Found("grt_1", "req_1", 3)


def test_the_same_ask_finds_what_answered_it():
    asks = StandingAsks()
    asks.note("cli_1", ASKED, FOUND)
    assert asks.find("cli_1", OneOffering("dataset", replace(ASK))) == FOUND
    asks.note("cli_1", ASKED, None)
    assert asks.find("cli_1", ASKED) is None


@pytest.mark.parametrize(
    "other",
    [
        {"offering_id": "off_2"},
        {"purpose": "credit_assessment"},
        {"actions": ("aggregate", "read")},
        {"days": 31},
        {"form": {"why": "b"}},
        {"form": {}},
        {"accepted_terms": None},
    ],
)
def test_another_ask_does_not(other):
    asks = StandingAsks()
    asks.note("cli_1", ASKED, FOUND)
    assert asks.find("cli_1", OneOffering("dataset", replace(ASK, **other))) is None


def test_nor_does_another_clients_or_of_another_kind():
    asks = StandingAsks()
    asks.note("cli_1", ASKED, FOUND)
    assert asks.find("cli_2", ASKED) is None
    assert asks.find("cli_1", OneOffering("compute", ASK)) is None


def test_the_least_recently_used_is_forgotten_first():
    asks = StandingAsks(capacity=2)
    for name in ("cli_1", "cli_2"):
        asks.note(name, ASKED, FOUND)
    assert asks.find("cli_1", ASKED) is not None
    asks.note("cli_3", ASKED, FOUND)
    left = [name for name in ("cli_1", "cli_2", "cli_3") if asks.find(name, ASKED)]
    assert left == ["cli_1", "cli_3"]
