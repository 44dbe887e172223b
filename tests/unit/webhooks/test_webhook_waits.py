"""How long a webhook that fails is left alone, and when it is given up."""

from exchange.webhooks.model import FIRST_WAIT_MS, GIVE_UP_MS, LONGEST_WAIT_MS, is_given_up, wait_ms


def test_waits_double_up_to_an_hour_and_differ():
    assert wait_ms(1, 0) == FIRST_WAIT_MS
    assert [wait_ms(n, 0) for n in (2, 3, 4)] == [2000, 4000, 8000]
    assert wait_ms(1, 1) == FIRST_WAIT_MS // 2
    assert {wait_ms(n, 0) for n in (13, 50, 10_000)} == {LONGEST_WAIT_MS}
    assert is_given_up(5, 5 + GIVE_UP_MS)
    assert not is_given_up(5, 4 + GIVE_UP_MS)
