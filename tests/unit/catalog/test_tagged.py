"""Which answers a client need not read again."""

import pytest

from exchange.catalog.api.tagged import is_named

TAG = '"abc"'


@pytest.mark.parametrize(
    "given", [[TAG], ["W/" + TAG], ['"x", W/"abc"'], ['"x"', TAG], ["*"], [' "abc" ,"y"']]
)
def test_a_tag_that_is_named(given):
    assert is_named(TAG, given)


@pytest.mark.parametrize("given", [[], [""], ["abc"], ['"ab"'], ['"abcd"'], ["\x00", ",,"]])
def test_a_tag_that_is_not(given):
    assert not is_named(TAG, given)
