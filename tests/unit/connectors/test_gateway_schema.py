"""Schemathesis finds no answer of the gateway that its OpenAPI does not document, and no 500."""

import asyncio
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from tests.unit.connectors.world import GRANT, make_world

QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
FILE = "/gateway/grants/{grant_id}/files/{name}"
OPERATIONS = [("/gateway/grants/{grant_id}", "GET"), (FILE, "GET"), (FILE, "HEAD")]
UNFIT = [
    checks.positive_data_acceptance,  # 412 and 416 are right answers to well-formed headers
    checks.negative_data_rejection,  # the path and the token are made good below
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    return asyncio.run(make_world(root, {"flights.parquet": b"0123456789"}))


@pytest.fixture(scope="module")
def schema(world):
    return schemathesis.openapi.from_asgi("/openapi.json", world.app)


def test_the_operations_are_these(schema) -> None:
    found = [(each.ok().path, each.ok().method.upper()) for each in schema.get_all_operations()]
    assert sorted(found) == sorted(OPERATIONS)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_anything_with_a_wrong_token_or_none(schema, path: str, method: str, mode) -> None:
    @QUICK
    @given(schema[path][method].as_strategy(generation_mode=mode))
    def check(case) -> None:
        assert case.call_and_validate().status_code in {400, 401, 404, 405, 422}

    check()


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_anything_under_a_good_grant(schema, world, path: str, method: str, mode) -> None:
    statuses: Counter[int] = Counter()
    ranges = st.sampled_from(["bytes=0-3", "bytes=-2", "bytes=99-", "bytes=0-1,3-4", None])

    @QUICK
    @given(schema[path][method].as_strategy(generation_mode=mode), ranges, st.booleans())
    def check(case, wanted: str | None, plain: bool) -> None:
        if plain:  # or nearly every answer is a 412
            case.headers = {}
        case.path_parameters = {"grant_id": GRANT, "name": "flights.parquet"}
        if path != FILE:
            del case.path_parameters["name"]
        headers = {**world.bearer(), **({"Range": wanted} if wanted else {})}
        answer = case.call_and_validate(headers=headers, excluded_checks=UNFIT)
        statuses[answer.status_code] += 1

    check()
    wanted = {200} if method == "HEAD" or path != FILE else {200, 206, 416}
    if mode is GenerationMode.POSITIVE:
        assert wanted <= statuses.keys()
