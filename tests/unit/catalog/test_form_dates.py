"""A date in a form is one that the calendar has."""

import pytest

from exchange.catalog.form import FormField, check_form
from exchange.errors import BadInput

FIELDS = [FormField("until", "date", "Until", "截止")]


@pytest.mark.parametrize("day", ["2026-12-31", "2028-02-29", "0001-01-01", "9999-12-31"])
def test_a_day_of_the_calendar_is_taken(day):
    assert check_form(FIELDS, {"until": day}) == {"until": day}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((day, "calendar") for day in ("2026-02-31", "2026-02-29", "2026-04-31", "2026-13-01")),
        *((day, "calendar") for day in ("2026-01-00", "0000-01-01")),
        *((text, "such as 2026-12-31") for text in ("2026-1-1", "20260101", "2026-W01-1", "", "x")),
        *((text, "such as 2026-12-31") for text in ("2026-01-01T00", " 2026-01-01", "２026-01-01")),
    ],
)
def test_what_is_no_day_is_refused_with_why(text, why):
    with pytest.raises(BadInput) as refused:
        check_form(FIELDS, {"until": text})
    assert refused.value.code == "form_invalid"
    assert "form.until must be a d" in refused.value.detail
    assert why in refused.value.detail
