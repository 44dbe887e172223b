"""Token Status Lists (draft-ietf-oauth-status-list, section 4): two bits a grant, compressed.

Status i stands in byte i // 4, from its lowest bits on: `i % 4 * 2`. The bytes are compressed by
zlib (RFC 1950) and written as base64url without padding. What a list does not say is VALID.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from exchange.formats.errors import FormatError
from exchange.formats.jwk import decode_base64url, encode_base64url

BITS: Final = 2
PER_BYTE: Final = 8 // BITS
VALID: Final = 0
INVALID: Final = 1  # revoked or ended: for good
SUSPENDED: Final = 2
MOST_INDEXES: Final = 1 << 24
"""Longest list: 4 MiB before compression, as much as anybody's list may unfold to."""

Word = Literal["valid", "revoked", "suspended"]
WORDS: Final[Mapping[int, Word]] = {VALID: "valid", INVALID: "revoked", SUSPENDED: "suspended"}


class StatusList:
    """Statuses by index, from 0 to `len` - 1."""

    def __init__(self, size: int) -> None:
        """Make a list of at least `size` statuses, all VALID; raises FormatError."""
        if not 0 < size <= MOST_INDEXES:
            raise FormatError(f"a status list has 1 to {MOST_INDEXES} indexes")
        self._bytes = bytearray(-(-size // PER_BYTE))

    def __len__(self) -> int:
        return len(self._bytes) * PER_BYTE

    def __getitem__(self, index: int) -> int:
        """Return a status; raises IndexError beyond the list's ends."""
        self._check(index)
        return self._bytes[index // PER_BYTE] >> (index % PER_BYTE * BITS) & 0b11

    def __setitem__(self, index: int, status: int) -> None:
        """Set a status; raises IndexError beyond the list's ends, FormatError for none of ours."""
        self._check(index)
        if status not in WORDS:
            raise FormatError("no such status")
        place, shift = index // PER_BYTE, index % PER_BYTE * BITS
        self._bytes[place] = self._bytes[place] & ~(0b11 << shift) | status << shift

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise IndexError("beyond the status list")

    def set_all(self, changes: Iterable[tuple[int, int]]) -> None:
        """Set statuses; one beyond the list's end makes it longer, up to MOST_INDEXES."""
        for index, status in changes:
            if len(self) <= index < MOST_INDEXES:
                self._bytes.extend(bytes(index // PER_BYTE + 1 - len(self._bytes)))
            self[index] = status

    def copy(self) -> "StatusList":
        """Return a list that changes by itself."""
        other = StatusList(len(self))
        other._bytes[:] = self._bytes
        return other

    def encode(self) -> dict[str, Any]:
        """Return the claim `status_list` (section 4.2)."""
        return {"bits": BITS, "lst": encode_base64url(zlib.compress(bytes(self._bytes), 9))}

    @classmethod
    def decode(cls, claim: object) -> "StatusList":
        """Read the claim back; raises FormatError, before it unfolds beyond MOST_INDEXES."""
        if not isinstance(claim, Mapping) or type(claim.get("bits")) is not int:
            raise FormatError("not a status list")
        text = claim.get("lst")
        if claim["bits"] != BITS or not isinstance(text, str):
            raise FormatError(f"a status list of ours has {BITS} bits a status")
        unfolded = _unfold(decode_base64url(text))
        found = cls(len(unfolded) * PER_BYTE)
        found._bytes[:] = unfolded
        return found


def _unfold(data: bytes) -> bytes:
    most = MOST_INDEXES // PER_BYTE
    unfolding = zlib.decompressobj()
    try:
        unfolded = unfolding.decompress(data, most + 1)
    except zlib.error:
        raise FormatError("the status list is not compressed by zlib") from None
    if len(unfolded) > most:
        raise FormatError(f"the status list has more than {MOST_INDEXES} indexes")
    if not unfolding.eof or unfolding.unused_data:
        raise FormatError("the compressed status list is cut short, or longer than its end")
    return unfolded
