"""What the catalog may be asked for in a query string."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Path, Query

from exchange.catalog.documents import Country, OrgId, Purpose
from exchange.catalog.model import Kind
from exchange.catalog.search import Wanted, wanted_by
from exchange.http import ONE_LINE, Caller
from exchange.policy.model import Industry

OfferingId = Annotated[
    str, Path(pattern="^off_[0-9a-hjkmnp-tv-z]{26}$", examples=["off_" + "0" * 26])
]
MOST = 20  # values of a facet at once


@dataclass(frozen=True, slots=True)
class Filters:
    """Text and facets; see `exchange.catalog.search`."""

    q: str | None
    kind: tuple[str, ...] = ()
    industry: tuple[str, ...] = ()
    classification: tuple[str, ...] = ()
    purpose: tuple[str, ...] = ()
    jurisdiction: tuple[str, ...] = ()
    platform: tuple[str, ...] = ()
    sandbox: tuple[str, ...] = ()

    def wanted_by(self, caller: Caller) -> Wanted:
        """Return what that means for this caller."""
        return wanted_by(
            caller,
            self.q,
            kind=self.kind,
            industry=self.industry,
            classification=self.classification,
            purpose=self.purpose,
            jurisdiction=self.jurisdiction,
            platform=self.platform,
            sandbox=self.sandbox,
        )


def filters(
    q: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=ONE_LINE,
            description="Words or parts of words, English or Chinese, all of which must occur in "
            "the titles or descriptions",
            examples=["物流"],
        ),
    ] = None,
    kind: Annotated[list[Kind] | None, Query(max_length=MOST)] = None,
    industry: Annotated[list[Industry] | None, Query(max_length=MOST)] = None,
    classification: Annotated[
        list[Literal["general", "important", "core"]] | None, Query(max_length=MOST)
    ] = None,
    purpose: Annotated[list[Purpose] | None, Query(max_length=MOST)] = None,
    jurisdiction: Annotated[list[Country] | None, Query(max_length=MOST)] = None,
    platform: Annotated[list[OrgId] | None, Query(max_length=MOST)] = None,
    sandbox: Annotated[
        Literal["true"] | None,
        Query(description="Only what anyone registered may try at once; left out: all"),
    ] = None,
) -> Filters:
    """Read them off a query string."""
    only = [sandbox] if sandbox else None
    given = (kind, industry, classification, purpose, jurisdiction, platform, only)
    return Filters(q, *(tuple(each or ()) for each in given))
