"""The token endpoint's form (RFC 6749 section 3.2, appendix B), read with bounds and once."""

import re
from urllib.parse import unquote_to_bytes

from exchange.oauth.model import Refused

MAX_BYTES = 32 * 1024
MAX_FIELDS = 32
MEDIA_TYPE = "application/x-www-form-urlencoded"

_CONTENT_TYPE = re.compile(re.escape(MEDIA_TYPE) + r'(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*', re.I)
_PLAIN = re.compile(rb"[A-Za-z0-9._~-]*")
_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_content_type(values: list[str]) -> None:
    """Refuse a body that does not say that it is a form."""
    if len(values) != 1 or not _CONTENT_TYPE.fullmatch(values[0].strip()):
        raise Refused("invalid_request", f"Send the parameters as {MEDIA_TYPE}.")


def parse_form(body: bytes) -> dict[str, str]:
    """Return the parameters; one sent without a value counts as not sent (section 3.2).

    Raises Refused: too large, not a form, or a parameter sent twice, known or not.
    """
    if len(body) > MAX_BYTES or body.count(b"&") >= MAX_FIELDS:
        raise Refused("invalid_request", "The form is too large.")
    form: dict[str, str] = {}
    for pair in body.split(b"&") if body else ():
        name, equals, value = pair.partition(b"=")
        key = _decode(name)
        if not equals or not key:
            raise Refused("invalid_request", "The body is not a form of name=value pairs.")
        if key in form:
            raise Refused("invalid_request", "A parameter was sent twice.")
        form[key] = _decode(value)
    return {name: value for name, value in form.items() if value}


def _decode(raw: bytes) -> str:
    if _PLAIN.fullmatch(raw):  # most names and values
        return raw.decode()
    try:
        text = raw.decode("ascii")
        if not _BROKEN_ESCAPE.search(text):
            decoded = unquote_to_bytes(text.replace("+", " ")).decode()
            if not _CONTROL.search(decoded):
                return decoded
    except UnicodeDecodeError:
        pass
    raise Refused("invalid_request", "The form is not encoded as UTF-8 text in percent-encoding.")
