"""The catalog as DCAT-AP: what is mandatory is there, and every name means something."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exchange.catalog.dcat import catalog_document, offering_document
from exchange.catalog.model import Offering, SourceObject
from exchange.participants.model import Organisation
from exchange.policy.model import Industry
from tests.support.desk import TERMS

ISSUER = "https://exchange.example"
ORG = Organisation(
    "org_" + "1" * 26, "Harbour Data", "港口数据", frozenset({"platform"}), "active", {}, 1, 0
)
OBJECTS = (SourceObject("a.csv", 12, "ab" * 32, "text/csv"),)
OFFERING = Offering(
    id="off_" + "2" * 26,
    provider_id=ORG.id,
    version=3,
    status="published",
    terms=TERMS,
    objects=OBJECTS,
    rev=4,
    created_ms=1_700_000_000_000,
    changed_ms=1_700_000_001_500,
)

# DCAT-AP 3.0 (and its controlled vocabularies'), properties that each class must have.
MANDATORY = {
    "dcat:Catalog": {"dct:title", "dct:description", "dct:publisher"},
    "dcat:Dataset": {"dct:title", "dct:description"},
    "dcat:DataService": {"dct:title", "dcat:endpointURL"},
    "dcat:Distribution": {"dcat:accessURL"},
    "spdx:Checksum": {"spdx:algorithm", "spdx:checksumValue"},
    "foaf:Agent": {"foaf:name"},
    "skos:Concept": {"skos:prefLabel"},
}
RANGES = {
    "dcat:distribution": {"dcat:Distribution"},
    "dcat:dataset": {"dcat:Dataset"},
    "dcat:service": {"dcat:DataService"},
    "dct:publisher": {"foaf:Agent"},
    "dcat:theme": {"skos:Concept"},
    "spdx:checksum": {"spdx:Checksum"},
    "dct:accessRights": {"dct:RightsStatement"},
    "odrl:hasPolicy": {"odrl:Offer"},
}
LITERALS = {"dct:title", "dct:description", "foaf:name", "skos:prefLabel", "dcat:keyword"}


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every node object of a document, but its context."""
    if isinstance(value, list):
        for each in value:
            yield from nodes(each)
    elif isinstance(value, dict) and "@value" not in value:
        yield value
        for key, inner in value.items():
            if key != "@context":
                yield from nodes(inner)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def check(document: dict[str, Any]) -> None:
    """What a reader of JSON-LD and a validator of DCAT-AP would complain of."""
    context = document["@context"]
    assert all(isinstance(value, str | float) for value in context.values()), "no context to fetch"

    def is_name(name: str) -> bool:
        prefix, _, rest = name.partition(":")
        return bool(rest) and (prefix in context or prefix in ("http", "https"))

    for node in nodes(document):
        kinds = listed(node.get("@type", []))
        assert all(is_name(kind) for kind in kinds), kinds
        if "@id" in node:
            assert is_name(node["@id"]), node
            assert not re.search(r"[\s<>\"{}|\\^`]", node["@id"]), node
        for kind in kinds:
            assert MANDATORY.get(kind, set()) <= node.keys(), (kind, node)
        for name, value in node.items():
            if name.startswith("@"):
                continue
            assert is_name(name), name
            assert value != "", name
            for each in listed(value):
                if name in RANGES:
                    assert RANGES[name] & set(listed(each["@type"])), name
                if name in LITERALS and isinstance(each, dict):
                    assert each["@value"], name
                    assert each["@language"] in ("en", "zh-Hans")
                if isinstance(each, dict) and "@type" in each and "@value" in each:
                    assert is_name(each["@type"])


def test_a_dataset():
    document = offering_document(OFFERING, ORG, ISSUER)
    check(document)
    assert document["@type"] == "dcat:Dataset"
    assert document["@id"] == f"{ISSUER}/v1/offerings/{OFFERING.id}"
    assert document["dct:title"] == [
        {"@value": "Flights", "@language": "en"},
        {"@value": "航班", "@language": "zh-Hans"},
    ]
    assert document["dct:description"] == document["dct:title"]  # it has none of its own
    assert document["dct:publisher"]["foaf:name"][1]["@value"] == "港口数据"
    assert document["dct:modified"]["@value"] == "2023-11-14T22:13:21.500Z"
    (file,) = document["dcat:distribution"]
    assert file["dcat:byteSize"] == {"@value": "12", "@type": "xsd:nonNegativeInteger"}
    assert file["dcat:mediaType"]["@id"].endswith("/text/csv")
    assert file["spdx:checksum"]["spdx:checksumValue"]["@value"] == "ab" * 32
    assert file["dcat:accessURL"]["@id"].startswith(ISSUER)
    constraints = document["odrl:hasPolicy"]["odrl:permission"]["odrl:constraint"]
    assert [c["odrl:rightOperand"] for c in constraints] == [
        ["logistics_planning", "scientific_research"],
        ["CN"],
        {"@value": "P90D", "@type": "xsd:duration"},
    ]


def test_what_is_no_dataset_is_a_service():
    for kind in ("compute", "technology"):
        service = replace(OFFERING, terms=replace(TERMS, kind=kind), objects=())
        document = offering_document(service, ORG, ISSUER)
        check(document)
        assert document["@type"] == "dcat:DataService"
        assert "dcat:distribution" not in document


def test_a_private_offering_says_so_and_to_whom_it_does_not_say():
    private = replace(OFFERING, terms=replace(TERMS, audience=("org_" + "9" * 26,)))
    document = offering_document(private, ORG, ISSUER)
    assert document["dct:accessRights"]["@id"].endswith("/NON_PUBLIC")
    assert "org_9" not in str(document)
    public = offering_document(OFFERING, ORG, ISSUER)
    assert public["dct:accessRights"]["@id"].endswith("/RESTRICTED")


def test_every_industry_has_a_theme():
    for industry in Industry.__args__:
        themed = replace(OFFERING, terms=replace(TERMS, industries=(industry,)))
        document = offering_document(themed, ORG, ISSUER)
        check(document)
        assert len(document["dcat:theme"]) == 1
        assert {"@value": industry.replace("_", " "), "@language": "en"} in document["dcat:keyword"]


def test_a_page_of_the_catalog():
    service = replace(OFFERING, id="off_" + "3" * 26, terms=replace(TERMS, kind="compute"))
    document = catalog_document(
        [(OFFERING, ORG), (service, ORG)], ISSUER, this_page="/a", next_page="/b?cursor=x"
    )
    check(document)
    assert [n["dct:identifier"] for n in document["dcat:dataset"]] == [OFFERING.id]
    assert [n["dct:identifier"] for n in document["dcat:service"]] == [service.id]
    assert document["hydra:view"]["hydra:next"] == {"@id": f"{ISSUER}/b?cursor=x"}
    last = catalog_document([], ISSUER, this_page="/a", next_page=None)
    check(last)
    assert "hydra:next" not in last["hydra:view"]


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


NAME = st.from_regex(r"[\w-][\w.-]{0,20}", fullmatch=True)


@given(title=TEXT, description=TEXT | st.just(""), name=NAME)
def test_whatever_a_platform_writes_stays_text(title: str, description: str, name: str):
    terms = replace(TERMS, title_en=title, description_zh=description)
    objects = (SourceObject(name, 0, "00" * 32, "application/octet-stream"),)
    document = offering_document(replace(OFFERING, terms=terms, objects=objects), ORG, ISSUER)
    check(document)
    assert document["dct:title"][0] == {"@value": title, "@language": "en"}
    assert document["dcat:distribution"][0]["dct:title"] == name


def test_a_sandbox_is_found_by_its_word_in_both_languages():
    words = [{"@value": "sandbox", "@language": "en"}, {"@value": "沙箱", "@language": "zh-Hans"}]
    plain = offering_document(OFFERING, ORG, ISSUER)["dcat:keyword"]
    assert not [word for word in words if word in plain]
    terms = replace(TERMS, sandbox=True)
    marked = offering_document(replace(OFFERING, terms=terms), ORG, ISSUER)["dcat:keyword"]
    assert marked == [*plain, *words]
