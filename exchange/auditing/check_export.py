"""Judge an export with no network: its manifest, and that the file is the one that it means."""

from hashlib import sha256
from typing import Any

from exchange.auditing.walk_log import LogFault, open_checkpoint
from exchange.formats.errors import FormatError
from exchange.formats.manifest import verify_manifest
from exchange.formats.note import Verifier


class ExportRefused(Exception):
    """The file is not what an exchange exported; the message says why."""


def check_export(
    data: bytes, manifest: str, jwks: object, log_key: Verifier | None = None
) -> dict[str, Any]:
    """Return what a manifest says of a file, once it holds; raises ExportRefused.

    `jwks` are the exchange's public keys; with `log_key` the log's checkpoint is verified too.
    """
    try:
        claims = verify_manifest(manifest, jwks)
    except FormatError as error:
        raise ExportRefused(f"The manifest is not the exchange's: {error}.") from error
    if len(data) != claims["bytes"] or sha256(data).hexdigest() != claims["sha256"]:
        raise ExportRefused("The file is not the one that the manifest was signed for.")
    if claims["format"] == "jsonl" and data.count(b"\n") != claims["leaves"]:
        raise ExportRefused("The file has another number of entries than its manifest says.")
    if log_key is not None:
        try:
            open_checkpoint(claims["checkpoint"], log_key)
        except LogFault as fault:
            raise ExportRefused(fault.detail) from fault
    return claims
