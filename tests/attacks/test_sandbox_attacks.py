"""A platform cannot make a sandbox of what is not harmless and open: not by a draft, not by
revising what is published, and whoever is in it gets no more than others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from exchange.client.session import Refusal, Session
from tests.support.actors import SANDBOX_TERMS, TERMS, join, member, operator, publish
from tests.support.server import ExchangeServer
from tests.support.story import assert_problem

FIELD = {"name": "use", "label_en": "Use", "label_zh": "用途"}
HARMS: list[dict[str, Any]] = [
    {"form": [FIELD]},
    {"audience": ["org_" + "0" * 26]},
    {"terms_en": "Keep it."},
    {"approval": "provider"},
    {"approval": "provider", "approvers": 2},
    {"classification": "important"},
    {"classification": "core"},
    {"personal_information": "personal"},
    {"personal_information": "sensitive"},
    {"max_days": 8},
    {"max_sessions": None},
    {"purposes": ["logistics_planning"]},
    {"sandbox": "true"},
    {"sandbox": 1},
]


@dataclass
class Place:
    """A platform, somebody else's organisation of which nothing is known, and the operator."""

    operator: Session
    platform: Session
    stranger: Session


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExchangeServer(tmp_path_factory.mktemp("sandbox") / "state") as server:
        by = operator(server.state)
        yield Place(by, join(by, "Platform", ["platform"]), join(by, "New", ["platform"]))


def refusal(does: Any, *arguments: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        does(*arguments)
    return refused.value


def attempt(session: Session, offering: dict[str, Any]) -> dict[str, Any]:
    body = {"offering_id": offering["id"], "purpose": "trial", "days": 7}
    return session.post("/v1/access-requests", body)


def wanted(offering: dict[str, Any], **terms: Any) -> dict[str, Any]:
    """Terms of an offering of TERMS, changed."""
    return TERMS | {"source": offering["source"]} | terms


@pytest.mark.parametrize("harm", HARMS, ids=str)
def test_the_flag_is_refused_in_drafts_and_in_revisions(harm: dict, place: Place) -> None:
    harmful = SANDBOX_TERMS | harm
    assert refusal(place.platform.post, "/v1/offerings", TERMS | harmful).status == 422
    plain = {k: v for k, v in harmful.items() if k != "sandbox"}
    private = {"audience": [place.stranger.profile.organisation_id]} if "audience" in harm else {}
    standing = publish(place.platform, file_name="data.bin", **plain | private)
    path = f"/v1/offerings/{standing['id']}"
    flipped = wanted(standing, **harmful | private)
    refused = refusal(place.platform.put, path, flipped)
    assert (refused.status, refused.code) == (422, "input_invalid"), refused.document
    kept = place.platform.get(path)
    assert (kept["sandbox"], kept["version"]) == (False, standing["version"])
    denied = refusal(attempt, place.stranger, standing)
    assert denied.status in (403, 409, 422)


def test_a_published_sandbox_stays_harmless_or_stops_being_one(place: Place) -> None:
    offering = publish(place.platform, **SANDBOX_TERMS)
    path = f"/v1/offerings/{offering['id']}"
    assert attempt(place.stranger, offering)["grant"]["status"] == "active"
    for harm in HARMS[:9]:
        changed = wanted(offering, **SANDBOX_TERMS | harm)
        assert refusal(place.platform.put, path, changed).status == 422
    changed = wanted(offering, **SANDBOX_TERMS | {"max_days": 30, "sandbox": False})
    assert not place.platform.put(path, changed)["sandbox"]
    late = join(place.operator, "Late", ["auditor"], engaged=False)
    denied = refusal(attempt, late, offering)
    assert denied.code == "access_denied"
    assert "consumer_role_missing" in {each.code for each in denied.reasons}


def test_people_try_by_their_roles(place: Place) -> None:
    """Only programs and developers ask, whatever an organisation may."""
    offering = publish(place.platform, **SANDBOX_TERMS)
    for role in ("owner", "publisher", "approver", "auditor"):
        person = member(place.operator, place.stranger, role, [role])
        assert refusal(attempt, person, offering).code == "scope_missing"
    developer = member(place.operator, place.stranger, "developer", ["developer"])
    grant = attempt(developer, offering)["grant"]["id"]
    listed = developer.get(f"/gateway/grants/{grant}", scope=f"grant:{grant}")
    assert [each["name"] for each in listed["objects"]] == ["data.bin"]


def test_a_suspended_organisation_tries_nothing(place: Place) -> None:
    offering = publish(place.platform, **SANDBOX_TERMS)
    late = join(place.operator, "Suspended", ["auditor"], engaged=False)
    place.operator.post("/v1/holds", {"target": late.profile.organisation_id, "reason": "other"})
    assert refusal(attempt, late, offering).status == 403


@pytest.mark.parametrize("value", ["false", "1", "yes", "True", "true&sandbox=x"])
def test_the_filter_is_true_or_left_out(value: str, place: Place) -> None:
    response = place.stranger.http.get(
        f"/v1/offerings?sandbox={value}",
        headers={"Authorization": f"Bearer {place.stranger.token()}"},
    )
    assert_problem(response, 422)
