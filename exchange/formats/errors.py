"""What can be wrong with bytes.

FormatError (a ValueError)
├── CanonicalError      not JSON that RFC 8785 can write, or not written that way
├── ProofError          a Merkle proof, or the tree it speaks of, does not hold
├── NoteError           a signed note or a key is malformed, or no known key signed it
├── CheckpointError     the text of a checkpoint is malformed
├── TileError           a tile's path or a bundle's bytes are malformed
├── BadPath, BadRule    a call's path, or a rule about such paths, is malformed (allowed_paths)
└── ReceiptRefused      a receipt does not prove what it claims; `reason` is a code

Tokens, DPoP proofs and status lists raise kinds of their own, below FormatError too.
"""


class FormatError(ValueError):
    """Bytes that are not what they should be. Parsers of this package raise nothing else."""


class CanonicalError(FormatError):
    """A value that RFC 8785 cannot write, or bytes that it would have written otherwise."""


class ProofError(FormatError):
    """A Merkle proof that does not hold, or one that cannot be made."""


class NoteError(FormatError):
    """A signed note or key that is malformed, or a note that no known key signed."""


class CheckpointError(FormatError):
    """A checkpoint's text that is malformed."""


class TileError(FormatError):
    """A tile's path or an entry bundle that is malformed."""
