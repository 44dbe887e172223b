"""Pieces that every line format shares: base64 and decimals of which only one spelling is right."""

import binascii
import re

from exchange.formats.errors import FormatError

LARGEST = 2**63 - 1
"""The largest size or index: what an auditor's signed 64-bit integer holds."""

_DECIMAL = re.compile("0|[1-9][0-9]{0,18}")


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4), on one line."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(
    text: str, *, size: int | None = None, error: type[FormatError] = FormatError
) -> bytes:
    """The bytes, `size` of them where given. Raises `error`, also for bits after the last byte."""
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise error("not base64") from None
    # "QQ==" and "QR==" are one byte to a lenient decoder, so a bit could flip unseen.
    if encode_base64(data) != text:
        raise error("not canonical base64")
    if size is not None and len(data) != size:
        raise error(f"{len(data)} bytes where {size} are expected")
    return data


def decode_decimal(text: str, *, error: type[FormatError] = FormatError) -> int:
    """A number from 0 to 2^63-1 in ASCII digits. Raises `error`, also for a leading zero."""
    if not _DECIMAL.fullmatch(text) or (number := int(text)) > LARGEST:
        raise error("not a decimal number from 0 to 2^63-1 without leading zeros")
    return number
