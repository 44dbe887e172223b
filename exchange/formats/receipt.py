r"""Receipts, files `.tlog-proof` (C2SP tlog-proof): an entry, and the proof that a log holds it.

c2sp.org/tlog-proof@v1
extra <base64(entry)>
index <index>
<base64(hash)>                one line a hash, from the leaf to the root
                              an empty line
<the signed checkpoint, verbatim>
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from exchange.formats import canonical, checkpoint, merkle, note
from exchange.formats.errors import FormatError
from exchange.formats.text import decode_base64, decode_decimal, encode_base64
from exchange.formats.tiles import MAX_ENTRY

SUFFIX = ".tlog-proof"
MEDIA_TYPE = "text/plain; charset=utf-8"
MAX_BYTES = 262_144

_HEADER = "c2sp.org/tlog-proof@v1"

Reason = Literal["malformed", "wrong_key", "wrong_origin", "not_signed", "not_in_log", "no_event"]


class ReceiptRefused(FormatError):
    """A receipt that proves nothing: `reason` is the code, `detail` the English for a log line."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was read, or made, and not verified."""

    entry: bytes
    index: int
    proof: Sequence[bytes]
    checkpoint_note: str

    def encode(self) -> str:
        """The file's text."""
        head = [_HEADER, f"extra {encode_base64(self.entry)}", f"index {self.index}"]
        hashes = [encode_base64(each) for each in self.proof]
        return "\n".join([*head, *hashes, "", self.checkpoint_note])


@dataclass(frozen=True, slots=True)
class Verified:
    """What a receipt proves: that the log of `checkpoint` holds `entry` at `index`.

    Not that what the entry says still holds; and without witnesses not that no second log exists.
    """

    entry: bytes
    event: dict[str, Any]
    index: int
    checkpoint: checkpoint.Checkpoint
    log_signature: note.Signature
    witnesses: tuple[note.Signature, ...]
    witnesses_known: int
    unknown: tuple[note.Signature, ...]


def parse(data: bytes | str) -> Receipt:
    """Read a receipt's file, best as bytes. Raises ReceiptRefused("malformed")."""
    try:
        text = data if isinstance(data, str) else data.decode()
        if len(text) > MAX_BYTES:
            raise FormatError(f"longer than {MAX_BYTES} bytes")
        head, gap, checkpoint_note = text.partition("\n\n")
        lines = head.split("\n")
        if not gap or len(lines) < 3 or lines[0] != _HEADER:
            raise FormatError("not a receipt")
        entry = decode_base64(_field(lines[1], "extra"))
        if not 0 < len(entry) <= MAX_ENTRY:
            raise FormatError(f"an entry has 1 to {MAX_ENTRY} bytes")
        index = decode_decimal(_field(lines[2], "index"))
        proof = tuple(decode_base64(line, size=merkle.HASH_SIZE) for line in lines[3:])
    except (FormatError, UnicodeDecodeError) as error:
        raise ReceiptRefused("malformed", str(error)) from None
    return Receipt(entry, index, proof, checkpoint_note)


def verify(
    receipt: Receipt, verifier: note.Verifier, witnesses: Sequence[note.Verifier] = ()
) -> Verified:
    """Check a receipt against the log's key, got elsewhere beforehand. Raises ReceiptRefused.

    `witnesses` are the witnesses that the caller knows; those who signed the checkpoint are counted
    in the answer. A witness's signature that is there and wrong refuses the receipt.
    """
    # 1. The keys: one of a log, the others of witnesses.
    if verifier.kind != note.ED25519 or any(w.kind != note.COSIGNATURE for w in witnesses):
        raise ReceiptRefused("wrong_key", "a log signs by key type 1, a witness by type 4")

    # 2. The log signed the checkpoint.
    try:
        opened = note.open_note(receipt.checkpoint_note, [verifier, *witnesses])
    except FormatError as error:
        raise ReceiptRefused("not_signed", str(error)) from None
    by_log = [each for each in opened.verified if each.time is None]
    if not by_log:
        raise ReceiptRefused("not_signed", "no signature by the log's key")

    # 3. The checkpoint is the log's own: its origin is the key's name.
    try:
        signed = checkpoint.parse(opened.text)
    except FormatError as error:
        raise ReceiptRefused("malformed", str(error)) from None
    if signed.origin != verifier.name:
        raise ReceiptRefused("wrong_origin", "the checkpoint's origin is not the name of the key")

    # 4. The tree of that checkpoint holds the entry.
    leaf = merkle.leaf_hash(receipt.entry)
    try:
        merkle.verify_inclusion(receipt.index, signed.size, leaf, receipt.proof, signed.root)
    except FormatError as error:
        raise ReceiptRefused("not_in_log", str(error)) from None

    # 5. The entry can be read.
    try:
        event = canonical.decode(receipt.entry)
    except FormatError as error:
        raise ReceiptRefused("no_event", str(error)) from None
    if not isinstance(event, dict):
        raise ReceiptRefused("no_event", "the entry is not a JSON object")

    return Verified(
        entry=receipt.entry,
        event=event,
        index=receipt.index,
        checkpoint=signed,
        log_signature=by_log[0],
        witnesses=tuple(each for each in opened.verified if each.time is not None),
        witnesses_known=len(witnesses),
        unknown=opened.unknown,
    )


def _field(line: str, name: str) -> str:
    start = f"{name} "
    if not line.startswith(start):
        raise FormatError(f'no line "{name}"')
    return line.removeprefix(start)
