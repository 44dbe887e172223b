"""Offerings as DCAT-AP 3 in JSON-LD 1.1: what other catalogs harvest. Pure.

The context stands in the document, so that nobody has to fetch one. Addresses begin with the
issuer of the settings. Distributions' addresses lead to the offering, where access is asked for:
there is no address under which everybody finds the data.

https://semiceu.github.io/DCAT-AP/releases/3.0.0/, https://www.w3.org/TR/vocab-dcat-3/
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from exchange.catalog.model import Offering, SourceObject, Terms
from exchange.clock import rfc3339
from exchange.participants.model import Organisation

Node = dict[str, Any]

CONTEXT: Mapping[str, Any] = MappingProxyType(
    {
        "@version": 1.1,
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "hydra": "http://www.w3.org/ns/hydra/core#",
        "odrl": "http://www.w3.org/ns/odrl/2/",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "spdx": "http://spdx.org/rdf/terms#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    }
)
_AUTHORITY = "http://publications.europa.eu/resource/authority/"
_MEDIA_TYPES = "https://www.iana.org/assignments/media-types/"

# The EU's data themes (authority table data-theme) that our industries fall under.
_THEMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "AGRI": ("Agriculture, fisheries, forestry and food", "农业、渔业、林业和食品"),
        "ECON": ("Economy and finance", "经济与金融"),
        "REGI": ("Regions and cities", "区域与城市"),
        "TECH": ("Science and technology", "科学与技术"),
        "TRAN": ("Transport", "交通运输"),
    }
)
_THEME_OF: Mapping[str, str] = MappingProxyType(
    {
        "agriculture": "AGRI",
        "construction": "REGI",
        "information_transmission": "TECH",
        "postal": "TRAN",
        "property_management": "REGI",
        "real_estate_development": "REGI",
        "software_it_services": "TECH",
        "transport": "TRAN",
        "warehousing": "TRAN",
    }
)


def offering_document(offering: Offering, publisher: Organisation, issuer: str) -> Node:
    """Return one offering as a document of its own."""
    return {"@context": dict(CONTEXT), **offering_node(offering, publisher, issuer)}


def catalog_document(
    offerings: Sequence[tuple[Offering, Organisation]],
    issuer: str,
    *,
    this_page: str,
    next_page: str | None,
) -> Node:
    """Return a page of the catalog; the pages' paths are below the issuer."""
    nodes = [offering_node(offering, publisher, issuer) for offering, publisher in offerings]
    view: Node = {"@id": issuer + this_page, "@type": "hydra:PartialCollectionView"}
    if next_page is not None:
        view["hydra:next"] = {"@id": issuer + next_page}
    return {
        "@context": dict(CONTEXT),
        "@id": f"{issuer}/v1/catalog/dcat",
        "@type": ["dcat:Catalog", "hydra:Collection"],
        "dct:title": _texts("Data-sharing exchange", "数据共享交易所"),
        "dct:description": _texts(
            "Datasets, compute and technology that platforms share under their terms.",
            "各平台按其条款共享的数据集、算力与技术。",
        ),
        "dct:publisher": {
            "@id": issuer,
            "@type": "foaf:Agent",
            "foaf:name": _texts("Data-sharing exchange", "数据共享交易所"),
        },
        "foaf:homepage": {"@id": f"{issuer}/"},
        "dct:language": [_language("ENG"), _language("ZHO")],
        "dcat:dataset": [n for n in nodes if n["@type"] == "dcat:Dataset"],
        "dcat:service": [n for n in nodes if n["@type"] == "dcat:DataService"],
        "hydra:view": view,
    }


def offering_node(offering: Offering, publisher: Organisation, issuer: str) -> Node:
    """Return a dataset as dcat:Dataset, everything else as dcat:DataService."""
    terms, address = offering.terms, f"{issuer}/v1/offerings/{offering.id}"
    right = "RESTRICTED" if terms.audience is None else "NON_PUBLIC"
    node: Node = {
        "@id": address,
        "@type": "dcat:Dataset" if terms.kind == "dataset" else "dcat:DataService",
        "dct:identifier": offering.id,
        "dct:title": _texts(terms.title_en, terms.title_zh),
        # Mandatory, where ours may be empty: then the title says all that is said.
        "dct:description": _texts(
            terms.description_en or terms.title_en, terms.description_zh or terms.title_zh
        ),
        "dct:publisher": {
            "@id": f"{issuer}/v1/organisations/{publisher.id}",
            "@type": "foaf:Agent",
            "foaf:name": _texts(publisher.name_en, publisher.name_zh),
        },
        "dct:issued": _moment(offering.created_ms),
        "dct:modified": _moment(offering.changed_ms),
        "dcat:version": str(offering.version),
        "dcat:landingPage": {"@id": address},
        "dct:accessRights": {
            "@id": f"{_AUTHORITY}access-right/{right}",
            "@type": "dct:RightsStatement",
        },
        "dcat:theme": [_theme(code) for code in _theme_codes(terms)],
        "dcat:keyword": [
            {"@value": word.replace("_", " "), "@language": "en"}
            for word in dict.fromkeys((*terms.industries, *terms.purposes))
        ]
        + (_texts("sandbox", "沙箱") if terms.sandbox else []),
        "odrl:hasPolicy": _policy(offering, publisher, issuer),
    }
    if terms.kind == "dataset":
        node["dct:language"] = [_language("ENG"), _language("ZHO")]
        node["dcat:distribution"] = [
            _distribution(each, number, address) for number, each in enumerate(offering.objects)
        ]
    else:
        node["dcat:endpointURL"] = {"@id": address}
    return node


def _distribution(item: SourceObject, number: int, address: str) -> Node:
    return {
        "@id": f"{address}#file-{number}",
        "@type": "dcat:Distribution",
        "dct:title": item.name,
        "dcat:accessURL": {"@id": address},
        "dcat:byteSize": {"@value": str(item.bytes), "@type": "xsd:nonNegativeInteger"},
        "dcat:mediaType": {"@id": _MEDIA_TYPES + item.media_type, "@type": "dct:MediaType"},
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
            "spdx:checksumValue": {"@value": item.sha256, "@type": "xsd:hexBinary"},
        },
    }


def _policy(offering: Offering, publisher: Organisation, issuer: str) -> Node:
    """Return the terms as an odrl:Offer: what a request may ask for, not yet a right to it."""
    terms, address = offering.terms, f"{issuer}/v1/offerings/{offering.id}"
    return {
        "@id": f"{address}#terms-{offering.version}",
        "@type": "odrl:Offer",
        "odrl:permission": {
            "odrl:target": {"@id": address},
            "odrl:assigner": {"@id": f"{issuer}/v1/organisations/{publisher.id}"},
            "odrl:action": {"@id": "odrl:use"},
            "odrl:constraint": [
                _constraint("odrl:purpose", "odrl:isAnyOf", list(terms.purposes)),
                _constraint("odrl:spatial", "odrl:isAnyOf", list(terms.jurisdictions)),
                _constraint(
                    "odrl:elapsedTime",
                    "odrl:lteq",
                    {"@value": f"P{terms.max_days}D", "@type": "xsd:duration"},
                ),
            ],
        },
    }


def _constraint(left: str, operator: str, right: Any) -> Node:
    return {
        "odrl:leftOperand": {"@id": left},
        "odrl:operator": {"@id": operator},
        "odrl:rightOperand": right,
    }


def _theme_codes(terms: Terms) -> list[str]:
    return sorted({_THEME_OF.get(industry, "ECON") for industry in terms.industries})


def _theme(code: str) -> Node:
    return {
        "@id": f"{_AUTHORITY}data-theme/{code}",
        "@type": "skos:Concept",
        "skos:prefLabel": _texts(*_THEMES[code]),
        "skos:inScheme": {"@id": f"{_AUTHORITY}data-theme"},
    }


def _texts(english: str, chinese: str) -> list[Node]:
    return [
        {"@value": english, "@language": "en"},
        {"@value": chinese, "@language": "zh-Hans"},
    ]


def _moment(ms: int) -> Node:
    return {"@value": rfc3339(ms), "@type": "xsd:dateTime"}


def _language(code: str) -> Node:
    return {"@id": f"{_AUTHORITY}language/{code}", "@type": "dct:LinguisticSystem"}
