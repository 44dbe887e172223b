"""What an entry is about, as short texts to search by: `org:org_…`, `kind:grant.activated.v1`.

Ids are found by their form wherever they stand in an entry's data, so an event of a new kind is
searchable without a word here.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from exchange.ledger.ledger import Leaf

_ID = re.compile("(org|off|grt|req)_[0-9a-z_]{1,60}")


def refs_of(leaf: Leaf) -> frozenset[str]:
    """Return every ref of an entry: its kind, its reasons, each id in it and in its row."""
    data = from_json(leaf.entry)["data"]
    found = {"kind:" + leaf.type.removeprefix("exchange.")}
    for text in (leaf.subject, leaf.consumer_id, leaf.provider_id, *_texts(data)):
        if text and (named := _ID.fullmatch(text)):
            found.add(f"{named[1]}:{text}")
    for reason in (data.get("reason"), *_texts(data.get("reasons"))):
        if isinstance(reason, str):
            found.add(f"reason:{reason}")
    return frozenset(found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
