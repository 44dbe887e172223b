"""What the catalog is searched by: an inverted index of our own, pure.

An offering stands under terms: `~` and a gram of its text, `industry:retail` and other facets, and
`shown:` with whoever may know of it. Trigrams of a database would miss Chinese words of two
characters, such as 物流, so the grams are our own: at each place of a text one character, two, of
alphabets three, and the next TAIL. The first are lists, in order, of all that contain a short word.
The last, where a longer word is how some of them begin, lead to the few that contain a rare one.

Whoever changes what is derived here needs a migration that derives the index anew.
"""

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EVERYBODY = "shown:*"
SANDBOX = "sandbox:true"
GRAM = "~"
TAIL = 12
CJK = "\u2e80"  # where Chinese characters and their like begin
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
    """Return what a normalised text is found by; none of it has a blank."""
    tails = {run[at : at + TAIL] for run in text.split() for at in range(len(run))}
    one, two, three = ({tail[:length] for tail in tails} for length in (1, 2, 3))
    return tails | one | two | set(filter(has_list, three))


def has_list(word: str) -> bool:
    """Whether whatever contains the word, and nothing else, stands under it as a gram."""
    return len(word) < 3 or (len(word) == 3 and max(word) < CJK)


def lists_of(word: str) -> list[str]:
    """Return grams of a longer word, each with a list of all texts that contain it."""
    parts = (word[at : at + 3] for at in range(len(word) - 1))
    return list(dict.fromkeys(part if has_list(part) else part[:2] for part in parts))


def ranges_of(word: str) -> list[tuple[str, str]]:
    """Return ranges of terms: from one on, before another. What has the word stands in each.

    Nothing else does, if it has no more than TAIL characters.
    """
    starts = dict.fromkeys(GRAM + part for part in (word[:TAIL], word[-TAIL:]))
    return [(start, _after(start)) for start in starts]


def _after(start: str) -> str:
    """Return the first that sorts, by code points, after all that begin so."""
    start = start.rstrip(chr(sys.maxunicode))
    last = ord(start[-1]) + 1
    return start[:-1] + chr(0xE000 if last == 0xD800 else last)  # past the surrogates


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
    if terms.get("sandbox"):  # what older terms lack they are not
        yield SANDBOX
    if status == "published":
        audience = terms.get("audience")
        yield from [EVERYBODY] if audience is None else under("shown", audience)
    if status != "published" or provider_id not in (terms.get("audience") or ()):
        yield f"shown:{provider_id}"  # its own, in every state


FACET_LISTS = {"industry": "industries", "purpose": "purposes", "jurisdiction": "jurisdictions"}
FACETS = ("kind", "industry", "classification", "purpose", "jurisdiction", "platform")
FILTERS = (*FACETS, "sandbox")  # what is searched by, though not all of it is counted


def under(facet: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return the terms of a facet's values."""
    return tuple(f"{facet}:{value}" for value in values)
