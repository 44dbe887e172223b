"""What the catalog is searched by: an inverted index of our own, pure.

An offering stands under terms: `~` and a gram of its text, `industry:retail` and other facets, and
`shown:` with whoever may know of it. Trigrams of a database would miss Chinese words of two
characters, such as 物流; bigrams find them, and single characters stand for themselves.

Whoever changes what is derived here needs a migration that derives the index anew.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EVERYBODY = "shown:*"
GRAM = "~"
_TEXTS = ("title_en", "title_zh", "description_en", "description_zh")


@dataclass(frozen=True, slots=True)
class Indexed:
    """An offering as the index holds it: its text, normalised, and its facets' terms."""

    text: str
    facets: tuple[str, ...]

    @property
    def terms(self) -> set[str]:
        """Every term that it stands under."""
        return {GRAM + gram for gram in grams(self.text)} | set(self.facets)


def normalise(text: str) -> str:
    """Write alike what people take for alike: width, case, compatibility (NFKC_Casefold)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def words(query: str) -> tuple[str, ...]:
    """Return what must all occur in a text, each somewhere, for the query to find it."""
    return tuple(dict.fromkeys(normalise(query).split()))


def grams(text: str) -> set[str]:
    """Return the characters and pairs of characters of a normalised text, none of them blank."""
    return {gram for run in text.split() for gram in (*run, *_pairs(run))}


def narrowest(word: str) -> list[str]:
    """Return the grams of a word that say the most: its pairs, or its only character."""
    return list(dict.fromkeys(_pairs(word))) or [word]


def _pairs(run: str) -> Iterator[str]:
    return (run[i : i + 2] for i in range(len(run) - 1))


def index_of(provider_id: str, status: str, terms: Mapping[str, Any]) -> Indexed:
    """Derive what is indexed of an offering; `terms` is its stored document, also an old one."""
    text = "\n".join(normalise(terms[name]) for name in _TEXTS)
    return Indexed(text, tuple(sorted(_facets(provider_id, status, terms))))


def _facets(provider_id: str, status: str, terms: Mapping[str, Any]) -> Iterator[str]:
    yield f"platform:{provider_id}"
    yield f"kind:{terms['kind']}"
    yield f"classification:{terms['classification']}"
    for facet, name in FACET_LISTS.items():
        yield from under(facet, terms.get(name, ()))
    if status == "published":
        audience = terms.get("audience")
        yield from [EVERYBODY] if audience is None else under("shown", audience)
    if status != "published" or provider_id not in (terms.get("audience") or ()):
        yield f"shown:{provider_id}"  # its own, in every state


FACET_LISTS = {"industry": "industries", "purpose": "purposes", "jurisdiction": "jurisdictions"}
FACETS = ("kind", "industry", "classification", "purpose", "jurisdiction", "platform")


def under(facet: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return the terms of a facet's values."""
    return tuple(f"{facet}:{value}" for value in values)
