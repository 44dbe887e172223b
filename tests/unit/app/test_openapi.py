"""The API's own document: every route told, every error a problem, every body with an example."""

import asyncio
import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from exchange.app import build_app
from exchange.errors import ExchangeError
from exchange.settings import Settings

PROBLEM = "application/problem+json"
OAUTH = {f"POST /oauth/{name}" for name in ("token", "revoke", "introspect", "par", "register")}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = build_app(Settings(state_dir=tmp_path_factory.mktemp("openapi") / "state"))

    async def started() -> dict[str, Any]:
        async with app.router.lifespan_context(app):
            return app.openapi()

    return asyncio.run(started())


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_says_what_it_does(operations):
    assert len(operations) >= 35
    for label, operation in operations:
        told = operation.get("description") or operation["summary"]
        assert len(told) >= 10, label
        assert operation["tags"], label
        by_framework = operation["operationId"].replace("_", " ")
        assert operation["summary"].lower() != by_framework, label
    ids = [operation["operationId"] for _, operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z_]+", each) for each in ids)


def test_every_error_is_a_problem_document(operations, document):
    assert set(document["components"]["schemas"]["Problem"]["required"]) == {
        "type",
        "title",
        "status",
        "detail",
    }
    for label, operation in operations:
        for status, response in operation["responses"].items():
            if status == "default" or int(status) < 400:  # what a service answers is its own
                continue
            kinds = set(response["content"])
            if label in OAUTH:  # RFC 6749 section 5.2, RFC 7591 section 3.2.2
                assert kinds == {"application/json"}
                continue
            assert kinds == {PROBLEM}, (label, status)
            schema = response["content"][PROBLEM]["schema"]
            told = schema.get("$ref", "").endswith("/Problem") or schema["title"] == "Problem"
            assert told, (label, status)
            assert response["description"], (label, status)


def test_what_can_go_wrong_is_documented(operations):
    for label, operation in operations:
        statuses = set(operation["responses"])
        if operation.get("security") and label not in OAUTH:
            assert {"401", "403", "503"} <= statuses, label
        if operation.get("parameters"):
            assert "422" in statuses, label
        if "{" in label.replace("{name}", "").replace("{level}", "").replace("{path}", ""):
            assert "404" in statuses, label
        body = operation.get("requestBody", {}).get("content", {})
        if "application/json" in body and label not in OAUTH:
            assert {"400", "415", "422"} <= statuses, label
        if any(each["name"] == "cursor" for each in operation.get("parameters", [])):
            assert "400" in statuses, label


def test_what_is_open_to_everyone_is_meant_to_be(operations):
    open_to_all = {label for label, operation in operations if not operation.get("security")}
    assert open_to_all == {
        "GET /",
        "GET /healthz",
        "GET /readyz",
        "POST /oauth/token",
        "POST /v1/invitations/accept",
        "POST /oauth/revoke",  # a client proves itself in the form
        "POST /oauth/introspect",
        "POST /oauth/par",
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/oauth-protected-resource",
        "GET /.well-known/oauth-protected-resource/gateway",
        "GET /oauth/jwks",
        "GET /log/checkpoint",
        "GET /log/key",
        "GET /log/tile/{level}/{path}",
    }


def test_examples_fit_their_schemas(document):
    """What `/docs` offers to send is something that would be read."""
    schemas = document["components"]["schemas"]
    seen = 0

    def visit(node: Any) -> None:
        nonlocal seen
        if isinstance(node, list):
            for each in node:
                visit(each)
        elif isinstance(node, dict):
            examples = node.get("examples")
            if isinstance(examples, list):
                whole = {**node, "components": document["components"]}
                for example in examples:
                    Draft202012Validator(whole).validate(example)
                    seen += 1
            for each in node.values():
                visit(each)

    visit(document["paths"])
    visit(schemas)
    assert seen > 30


def test_every_body_has_examples_for_what_it_requires(operations, document):
    schemas = document["components"]["schemas"]
    for label, operation in operations:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None or label in OAUTH:
            continue
        schema = schemas[body["schema"]["$ref"].rpartition("/")[2]]
        assert schema["additionalProperties"] is False, label
        for name in schema.get("required", []):
            member = schema["properties"][name]
            told = "examples" in member or "enum" in member or "$ref" in member
            assert told, f"{label}: {name}"


def test_an_unknown_error_has_a_public_face_without_a_cause():
    document = ExchangeError("internal", "Something broke here.").problem()
    assert json.dumps(document)
    assert set(document) == {"type", "title", "status", "detail"}
    assert document["status"] == 500
