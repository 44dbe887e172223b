"""What all sources say of objects alike: media types, bounds, and words for what cannot be had."""

from pathlib import PurePosixPath
from typing import Final

from connectors.gateway.source import SourceProblem

MAX_OBJECTS: Final = 1000
"""Most files of one offering."""

_MEDIA_TYPES: Final = {
    ".arrow": "application/vnd.apache.arrow.file",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}


def media_type(name: str) -> str:
    """Tell a media type by a name's ending; the same on every machine, unlike `mimetypes`."""
    return _MEDIA_TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")


def not_found() -> SourceProblem:
    """Nothing is where the source says."""
    return SourceProblem("source_not_found", 404, "No file or folder is there.")


def empty() -> SourceProblem:
    """A folder without a file."""
    return SourceProblem("source_empty", 422, "The folder holds no file.")


def too_many() -> SourceProblem:
    """More files than an offering may have."""
    detail = f"The folder holds more than {MAX_OBJECTS} files."
    return SourceProblem("source_too_many", 422, detail)


def refused(path: str) -> SourceProblem:
    """Something is there that is never published."""
    shown = path.encode("utf-8", "backslashreplace").decode()
    detail = f"{shown!r} cannot be published: it is a link, a device, unreadable or oddly named."
    hint = "Names are letters, digits, '_', '-' and '.', the last not in front, in Unicode NFC."
    return SourceProblem("source_refused", 422, detail, hint=hint)


def changed(detail: str) -> SourceProblem:
    """An object that is not what was published."""
    return SourceProblem("object_changed", 409, f"The object cannot be delivered. {detail}")


def unavailable(detail: str = "The object cannot be read right now.") -> SourceProblem:
    """The storage does not answer."""
    problem = SourceProblem("source_unavailable", 503, detail)
    problem.headers["Retry-After"] = "1"
    return problem


def exists() -> SourceProblem:
    """An upload's name that is taken."""
    return SourceProblem(
        "object_exists",
        409,
        "A file of this name with other content is there, and grants may stand on it.",
        hint="Upload under another name and publish the offering's next version with it.",
    )
