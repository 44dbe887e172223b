"""Who may not know of an offering learns nothing of it from its schema, its rows or DCAT."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.actors import publish
from tests.support.good_requests import org
from tests.support.server import ExchangeServer
from tests.support.story import World, assert_problem, call, make_world

ROWS = b"secret_column,kilograms\nsecret-value,1200\n"
ABOUT = ("schema", "sample", "dcat")
NOBODYS = "off_" + "0" * 26


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExchangeServer(tmp_path_factory.mktemp("private") / "state") as server:
        yield make_world(server)


@pytest.fixture(scope="module")
def private(world: World) -> str:
    audience = [org(world.sme)]
    return publish(
        world.platform, ROWS, file_name="p.csv", audience=audience, sample_rows=1, title_en="Hidden"
    )["id"]


def told(answer: httpx.Response, offering: str) -> dict:
    """A refusal without what differs anyway."""
    document = assert_problem(answer, 404)
    assert offering not in answer.text
    return {k: v for k, v in document.items() if k != "request_id"} | {
        "headers": sorted(answer.headers.keys())
    }


@pytest.mark.parametrize("what", ABOUT)
def test_a_private_offering_is_unknown_to_others(what: str, world: World, private: str) -> None:
    refused = call(world, "rival", "GET", f"/v1/offerings/{private}/{what}")
    unknown = call(world, "rival", "GET", f"/v1/offerings/{NOBODYS}/{what}")
    assert told(refused, private) == told(unknown, private)
    for role in ("sme", "platform", "operator", "auditor"):
        assert call(world, role, "GET", f"/v1/offerings/{private}/{what}").status_code == 200


@pytest.mark.parametrize("what", ABOUT)
def test_a_draft_is_unknown_to_others(what: str, world: World) -> None:
    draft = world.draft["id"]
    refused = call(world, "sme", "GET", f"/v1/offerings/{draft}/{what}")
    unknown = call(world, "sme", "GET", f"/v1/offerings/{NOBODYS}/{what}")
    assert told(refused, draft) == told(unknown, draft)


def test_a_harvest_holds_what_its_caller_may_know_of(world: World, private: str) -> None:
    def harvest(role: str) -> str:
        pages, path = "", "/v1/catalog/dcat?limit=1"
        while path:
            answer = call(world, role, "GET", path)
            assert answer.headers["content-type"] == "application/ld+json"
            following = answer.json()["hydra:view"].get("hydra:next", {}).get("@id", "")
            assert following.startswith(world.server.url) or not following
            path = following.removeprefix(world.server.url)
            pages += answer.text
        return pages

    public = world.offering["id"]
    for role, sees in (("sme", True), ("platform", True), ("operator", True), ("rival", False)):
        pages = harvest(role)
        assert public in pages
        assert (private in pages) == ("Hidden" in pages) == sees, role
        assert world.draft["id"] not in pages


@pytest.mark.parametrize(
    "terms",
    [{"personal_information": "personal"}, {"classification": "core", "sample_rows": 5}],
)
def test_rows_that_need_protection_are_not_shown(terms: dict, world: World) -> None:
    made = publish(world.platform, ROWS, file_name="p.csv", **terms)
    for role in ("platform", "sme", "operator"):
        assert call(world, role, "GET", f"/v1/offerings/{made['id']}/schema").status_code == 200
        answer = call(world, role, "GET", f"/v1/offerings/{made['id']}/sample")
        assert_problem(answer, 404, "sample_unknown")
        assert "secret-value" not in answer.text


def test_a_host_header_does_not_get_into_a_document(world: World) -> None:
    path = f"/v1/offerings/{world.offering['id']}/dcat"
    answer = call(world, "sme", "GET", path, headers={"Host": "evil.example"})
    assert "evil.example" not in answer.text
