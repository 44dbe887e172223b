"""Sources as platforms send them: one body a connector, strictly read, nothing sent repeated."""

import pytest
from pydantic import ValidationError

from exchange.app import _not_valid
from exchange.catalog.documents import OfferingIn

CONNECTION = "con_" + "0" * 26
HTTP = {"connector": "http", "connection": CONNECTION, "allow": ["GET /stats/*", "POST /query"]}
S3 = {"connector": "s3", "connection": CONNECTION, "path": "flights/2013/"}
TERMS = {
    "title_en": "a",
    "title_zh": "甲",
    "classification": "general",
    "personal_information": "none",
    "purposes": ["a"],
    "max_days": 9,
    "jurisdictions": ["CN"],
}


def source_of(source, kind="dataset"):
    return OfferingIn(**TERMS, kind=kind, source=source).terms().source


def test_each_connector_is_read():
    assert source_of({"path": "data.bin"}) == {"connector": "files", "path": "data.bin"}
    assert source_of(S3) == S3 | {"delivery": "stream"}
    assert source_of(HTTP, "technology") == HTTP | {
        "max_request_bytes": 1048576,
        "max_response_bytes": 67108864,
        "seconds": 60,
    }


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("dataset", HTTP),
        ("compute", S3),
        ("technology", {"connector": "files", "path": "a"}),
        ("dataset", S3 | {"path": "../a"}),
        ("dataset", S3 | {"path": "/a"}),
        ("dataset", S3 | {"path": "a//b"}),
        ("dataset", S3 | {"path": "港" * 400}),
        ("dataset", S3 | {"connection": "con_1"}),
        ("dataset", S3 | {"delivery": "post"}),
        ("dataset", S3 | {"allow": ["GET /"]}),
        ("dataset", {"connector": "planted", "path": "planted"}),
        ("compute", HTTP | {"allow": []}),
        ("compute", HTTP | {"allow": ["GET /planted/../a"]}),
        ("compute", HTTP | {"allow": ["planted"]}),
        ("compute", HTTP | {"seconds": 0}),
        ("compute", HTTP | {"seconds": "60"}),
        ("compute", HTTP | {"max_request_bytes": True}),
        ("compute", HTTP | {"path": "a"}),
        ("compute", "planted"),
    ],
)
def test_others_are_refused_in_words_of_ours(kind, source):
    with pytest.raises(ValidationError) as refused:
        source_of(source, kind)
    shown = _not_valid(refused.value.errors()).problem()
    assert "planted" not in str(shown)


@pytest.mark.parametrize(
    "rule", ["GET /a/**/b", "PURGE /a", "GET /a/../b", "GET /a//b", "GET /%7ea", "GET /a?b=c"]
)
def test_limits_name_paths_that_the_gateway_can_read(rule):
    for good in ("GET /stats/*", "POST /query"):
        OfferingIn(**TERMS, kind="compute", source=HTTP, limits={"paths": [good]})
    with pytest.raises(ValidationError, match=r"limits\.paths: "):
        OfferingIn(**TERMS, kind="compute", source=HTTP, limits={"paths": [rule]})
