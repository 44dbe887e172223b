"""The input's JSON Schema says what the Python type says, and refuses the rest."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter, ValidationError

from exchange.policy import BundleError, PolicyInput, PolicyRefusedInput, load_bundle
from exchange.policy.contract import InputContract
from tests.support.opa import ROOT
from tests.support.policy_inputs import documents, sample

SCHEMA = json.loads((ROOT / "policies" / "schema" / "input.json").read_text())
TYPE = TypeAdapter(PolicyInput)


def plain(node: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema without references, titles and descriptions, in one spelling."""
    if isinstance(node, list):
        return [plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return plain(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    found = {}
    for key, value in node.items():
        if key == "properties":
            found[key] = {name: plain(inner, definitions) for name, inner in value.items()}
        elif key == "required":
            found[key] = sorted(value)
        elif key not in ("title", "description", "$defs", "$id", "$schema"):
            found[key] = plain(value, definitions)
    if "enum" in found:
        found.pop("type", None)
    return found


def test_schema_and_type_say_the_same() -> None:
    generated = TYPE.json_schema()
    assert plain(SCHEMA, SCHEMA["$defs"]) == plain(generated, generated["$defs"])


def test_schema_and_type_accept_the_same_documents() -> None:
    contract = InputContract(SCHEMA)
    for document in documents(500, seed=3):
        assert json.loads(contract.check(document).body) == document
        TYPE.validate_python(document, strict=True)


def objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from objects(inner)


def test_schema_is_valid_strict_and_bounded() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for node in objects(SCHEMA):
        match node.get("type"):
            case "object":
                assert node["additionalProperties"] is False
            case "array":
                assert node["maxItems"] <= 250
            case "string":
                assert "pattern" in node or node["maxLength"] <= 64
            case "integer":
                assert node["minimum"] >= 0
                assert node["maximum"] <= 2**53 - 1


def test_industries_are_those_of_the_thresholds() -> None:
    thresholds = json.loads(load_bundle().data)["thresholds"]["industries"]
    assert sorted(SCHEMA["$defs"]["industry"]["properties"]["value"]["enum"]) == sorted(thresholds)
    measures = {name for bounds in thresholds.values() for name in bounds}
    assert measures == SCHEMA["$defs"]["attributes"]["properties"].keys() - {
        "jurisdiction",
        "industry",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("consumer.status", "Active"),
        ("consumer.roles", ["sme", "sme"]),
        ("consumer.id", "org_a\n"),
        ("consumer.id", ""),
        ("consumer.attributes.jurisdiction.value", "\ufeffCN"),
        ("consumer.attributes.headcount.value", 2**53),
        ("consumer.attributes.headcount.value", -1),
        ("consumer.attributes.shoe_size", {"value": 1, "evidence": "verified"}),
        ("offering.max_days", 0),
        ("offering.max_sessions", 0),
        ("offering.purposes", ["Everything"]),
        ("request.days", 30.0),
        ("request.days", True),
        ("request.actions", []),
        ("request.purpose", "x" * 65),
        ("approvals", [{"by": "mbr_a"}]),
        ("approvals", [{"by": "mbr_a", "at": 1, "note": ""}]),
    ],
)
def test_refused_with_its_place(path: str, value: Any) -> None:
    document = sample()
    *outer, last = path.split(".")
    inner = document
    for key in outer:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(PolicyRefusedInput) as caught:
        InputContract(SCHEMA).check(document)
    assert len(str(caught.value)) < 300
    if caught.value.where:
        assert caught.value.where.split("/")[0] == outer[0] if outer else last
    if value == ["sme", "sme"]:
        return  # no Python type says that a list's members differ
    with pytest.raises(ValidationError):
        TYPE.validate_python(document, strict=True)


def test_bytes_are_strict_utf8_json() -> None:
    document = sample()
    document["request"]["purpose"] = "物流\u2028🚚\0"
    body = InputContract(SCHEMA).check(document).body
    assert not body.startswith(b"\xef\xbb\xbf")
    assert json.loads(body.decode("utf-8", "strict")) == document
    document["request"]["purpose"] = "\ud83d"
    with pytest.raises(PolicyRefusedInput):
        InputContract(SCHEMA).check(document)


def test_a_schema_that_is_none() -> None:
    with pytest.raises(BundleError):
        InputContract({"type": "nonsense"})
