"""The form is read with bounds, once, and by one spelling."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.oauth.form import MAX_BYTES, MAX_FIELDS, check_content_type, parse_form
from exchange.oauth.model import Refused

# What a form may carry: text without control characters (surrogates are no text).
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=MAX_FIELDS))
def test_what_is_encoded_is_read_back_without_the_empty_values(form):
    read = parse_form(urlencode(form).encode())
    assert read == {name: value for name, value in form.items() if value}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_refused(body):
    try:
        form = parse_form(body)
    except Refused:
        return
    assert all(name and value for name, value in form.items())


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=2",
        b"a=1&a=",  # without a value it is still there twice
        b"a=1&%61=2",
        b"a=1&&b=2",
        b"a",
        b"=1",
        b"a=%",
        b"a=%zz",
        b"a=%ff",
        b"a=%00",
        b"a=1%0Ab",
        b"a=\xc3\xbc",
        b'{"a": 1}',
    ],
)
def test_what_is_no_form_is_refused(body):
    with pytest.raises(Refused) as caught:
        parse_form(body)
    assert (caught.value.error, caught.value.status) == ("invalid_request", 400)


def test_bounds():
    assert len(parse_form(b"&".join(b"n%d=1" % i for i in range(MAX_FIELDS)))) == MAX_FIELDS
    with pytest.raises(Refused):
        parse_form(b"&".join(b"n%d=1" % i for i in range(MAX_FIELDS + 1)))
    assert parse_form(b"a=" + b"1" * (MAX_BYTES - 2))
    with pytest.raises(Refused):
        parse_form(b"a=" + b"1" * (MAX_BYTES - 1))


@pytest.mark.parametrize(
    "value",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        'Application/X-WWW-Form-Urlencoded;charset="utf-8"',
    ],
)
def test_forms_say_so(value):
    check_content_type([value])


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["application/json"],
        ["multipart/form-data; boundary=x"],
        ["application/x-www-form-urlencoded; charset=utf-16"],
        ["application/x-www-form-urlencodedx"],
        ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded"],
    ],
)
def test_anything_else_is_refused(values):
    with pytest.raises(Refused):
        check_content_type(values)
