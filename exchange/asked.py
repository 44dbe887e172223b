"""What a read asks for, as it is recorded: the route's kind, and the parameters that it knows."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

LONGEST = 200
_PATH_PARAMETER = re.compile(r"/\{[^}]*\}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A read: `kind` as `kind_of` says, `filters` as they were sent, cut at LONGEST."""

    kind: str
    filters: Mapping[str, str]


def kind_of(path: str) -> str:
    """Name a route by its path: `/v1/organisations/{org_id}/members` is organisations_members."""
    words = _PATH_PARAMETER.sub("", path).removeprefix("/v1").strip("/")
    return words.replace("/", "_").replace("-", "_")


def asked(
    path: str, given: Mapping[str, object], query: Iterable[tuple[str, str]], known: Collection[str]
) -> Asked:
    """Return what is asked of the route at `path`, whose path holds `given`.

    Of the query only what the route knows is kept: whatever else was sent could be a secret.
    """
    filters = {name: str(value) for name, value in given.items()}
    for name, value in query:
        if name in known:
            filters[name] = f"{filters[name]}, {value}" if name in filters else value
    shown = {name: _CONTROL.sub("?", value)[:LONGEST] for name, value in filters.items()}
    return Asked(kind_of(path), shown)
