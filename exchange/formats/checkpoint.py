r"""A log's checkpoint (C2SP tlog-checkpoint), the text that the log key signs.

    <origin>\n<size>\n<base64(root)>\n

Extension lines, which the specification allows, are refused: this log never writes any, so a line
more could only mean that someone else's text was signed.
"""

from dataclasses import dataclass

from exchange.formats.errors import CheckpointError
from exchange.formats.merkle import HASH_SIZE
from exchange.formats.text import LARGEST, decode_base64, decode_decimal, encode_base64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of a log at `size` entries; `root` is 32 bytes. Raises CheckpointError."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise CheckpointError("an origin is one line")
        if not 0 <= self.size <= LARGEST:
            raise CheckpointError("a size is between 0 and 2^63-1")
        if len(self.root) != HASH_SIZE:
            raise CheckpointError(f"a root has {HASH_SIZE} bytes")

    def encode(self) -> str:
        """The text to sign."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def parse(text: str) -> Checkpoint:
    """Read a checkpoint's text, as `open_note` gives it. Raises CheckpointError."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise CheckpointError("a checkpoint has three lines: origin, size, root")
    origin, size, root, _ = lines
    return Checkpoint(
        origin,
        decode_decimal(size, error=CheckpointError),
        decode_base64(root, size=HASH_SIZE, error=CheckpointError),
    )
