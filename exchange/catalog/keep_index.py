"""The part of a write that keeps the index in step with the offering that it changes."""

from dataclasses import dataclass
from typing import Any

from exchange.catalog.index import Indexed, index_of
from exchange.catalog.model import Offering
from exchange.catalog.search import SEARCH, TERMS
from exchange.ledger.write import Delete, Insert, Update


@dataclass(frozen=True, slots=True)
class Held:
    """What the index holds of an offering, and at which rev."""

    indexed: Indexed
    rev: int


def new_entry(offering: Offering) -> list[Insert]:
    """Return the rows of an offering that the index does not hold yet."""
    wanted = _index(offering)
    row = Insert(SEARCH, {"id": offering.id, "rev": 1, **_values(wanted)})
    return [row, *_listed(offering.id, wanted.terms)]


def changed_entry(
    held: Held, offering: Offering
) -> tuple[list[Insert], list[Update], list[Delete]]:
    """Return what makes the index hold an offering as it becomes.

    What goes is told from what is held, not derived anew: Unicode's tables may have changed.
    """
    wanted = _index(offering)
    if wanted == held.indexed:
        return [], [], []
    before, after = held.indexed.terms, wanted.terms
    gone = [
        Delete(TERMS, {"term": term, "offering_id": offering.id}) for term in sorted(before - after)
    ]
    update = Update(SEARCH, offering.id, held.rev, _values(wanted))
    return _listed(offering.id, after - before), [update], gone


def _index(offering: Offering) -> Indexed:
    return index_of(offering.provider_id, offering.status, offering.terms.as_document())


def _values(indexed: Indexed) -> dict[str, Any]:
    return {"text": indexed.text, "facets": list(indexed.facets)}


def _listed(offering_id: str, terms: set[str]) -> list[Insert]:
    return [Insert(TERMS, {"term": term, "offering_id": offering_id}) for term in sorted(terms)]
