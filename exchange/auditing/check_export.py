"""Judge an export with no network: its manifest, that the file is the one that it means, and the
log's root, where the file holds the whole log.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from exchange.auditing.walk_log import LogFault, open_checkpoint
from exchange.formats.checkpoint import Checkpoint
from exchange.formats.errors import FormatError
from exchange.formats.manifest import signed_manifest
from exchange.formats.merkle import leaf_hash, root_of
from exchange.formats.note import Verifier

# What a manifest says of an export that left nothing out.
_ALL: dict[str, Any] = {"filters": [], "organisations": None, "since": None, "until": None}


class ExportRefused(Exception):
    """The file is not what an exchange exported; the message says why."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a manifest says of a file, whose key signed it, and whether the log's root was met.

    With the root met, the log's own key vouches for every entry, whoever signed the manifest.
    """

    claims: dict[str, Any]
    key: str  # the thumbprint (RFC 7638) of the key that signed
    root_met: bool
    why_not: str  # why the root could not be compared


def check_export(
    data: bytes, manifest: str, jwks: object, log_key: Verifier | None = None
) -> Checked:
    """Check a file against its manifest, and with `log_key` against the log; raises ExportRefused.

    `jwks` are the exchange's public keys: what is proved is as good as the way that they came.
    """
    try:
        signed = signed_manifest(manifest, jwks)
    except FormatError as error:
        raise ExportRefused(f"The manifest is not the exchange's: {error}.") from error
    claims = signed.claims
    if len(data) != claims["bytes"] or sha256(data).hexdigest() != claims["sha256"]:
        raise ExportRefused("The file is not the one that the manifest was signed for.")
    if claims["format"] == "jsonl" and data.count(b"\n") != claims["leaves"]:
        raise ExportRefused("The file has another number of entries than its manifest says.")
    why_not = "no log key was given"
    if log_key is not None:
        try:
            checkpoint = open_checkpoint(claims["checkpoint"], log_key)
        except LogFault as fault:
            raise ExportRefused(fault.detail) from fault
        why_not = _incomparable(claims)
        if not why_not:
            _require_root(data, checkpoint)
    return Checked(claims, signed.key, not why_not, why_not)


def _incomparable(claims: dict[str, Any]) -> str:
    """Say why a file's lines are not all of the log's entries, in its order; "" where they are."""
    if claims["format"] != "jsonl":
        return f"{claims['format']} does not hold the entries' own bytes"
    whole = all(claims.get(name, ...) == value for name, value in _ALL.items())
    if not whole or claims.get("start") != 0 or claims.get("order") != "oldest":
        return "it holds a part of the log"
    return ""


def _require_root(data: bytes, checkpoint: Checkpoint) -> None:
    *lines, rest = data.split(b"\n")
    if rest:
        raise ExportRefused("The file does not end with an entry.")
    if len(lines) != checkpoint.size:
        raise ExportRefused(
            f"The log had {checkpoint.size} entries, and the file that says to hold all of them "
            f"has {len(lines)}."
        )
    if root_of([leaf_hash(line) for line in lines]) != checkpoint.root:
        raise ExportRefused(
            "The entries are not the log's: their root is another than the log signed."
        )
