"""One key, one effect: every operation that takes an Idempotency-Key, and every verb of the client
over a line that loses each first answer."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from exchange.client import Exchange
from tests.support.good_requests import GOOD
from tests.support.story import DATABASES, World, exchange_on, make_world

# Leaves of an operation's good request, where that is not one.
LEAVES = {
    "POST /v1/organisations": 2,  # with an attribute
    "POST /v1/invitations/accept": 2,
    "POST /v1/offerings": 0,
    "PUT /v1/offerings/{offering_id}": 0,  # of a draft
    "POST /v1/access-requests/{request_id}/approve": 2,
}


@pytest.fixture(scope="module", params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    with exchange_on(request.param, tmp_path_factory.mktemp("keys")) as server:
        yield make_world(server)


def size(world: World) -> int:
    return int(httpx.get(world.server.url + "/log/checkpoint").text.splitlines()[1])


def made(document: dict[str, Any]) -> tuple[Any, Any]:
    """What an answer says was made: its id, and the version of an offering."""
    for name in ("member", "client", "invitation"):
        document = document.get(name, document)
    return document["id"], document.get("version")


def test_four_at_once_and_two_later_are_one_effect(world: World) -> None:
    paths = httpx.get(world.server.url + "/openapi.json").json()["paths"]
    labels = [
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "Idempotency-Key" in [each["name"] for each in operation.get("parameters", ())]
    ]
    assert {"POST /v1/access-requests", "POST /v1/holds"} < set(labels)
    assert {f"POST /v1/offerings/{{offering_id}}{verb}" for verb in ("/publish",)} < set(labels)
    for label in labels:

        def send(role: str, path: str, *, label: str = label, **options: Any) -> httpx.Response:
            key = "".join(each for each in label if each.isalnum())
            headers = world.role(role) | {"Idempotency-Key": key}

            def once(_: int) -> httpx.Response:
                method = label.split()[0]
                return httpx.request(method, world.server.url + path, headers=headers, **options)

            before = size(world)
            with ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(once, range(4)))
            answers += [once(0), once(0)]
            assert {each.is_success for each in answers} == {True}, (label, answers[-1].text)
            assert len({made(each.json()) for each in answers}) == 1, label
            assert size(world) - before == LEAVES.get(label, 1), label
            return answers[0]

        GOOD[label](world, send)


class LosesFirstAnswers(httpx.HTTPTransport):
    """Delivers a POST, and cuts the line in place of the first answer to each."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        key = request.headers.get("Idempotency-Key")
        if key is None or key in self.lost:
            return response
        response.read()
        response.close()
        self.lost.add(key)
        raise httpx.ReadError("cut", request=request)


def test_every_verb_of_the_client_over_a_line_that_loses_answers(world: World) -> None:
    lines = []

    def over(session: Any) -> Exchange:
        opened = Exchange.open(session.profile)
        lines.append(LosesFirstAnswers())
        at, headers = session.profile.url, opened.session.http.headers
        opened.session.http.close()
        opened.session.http = httpx.Client(transport=lines[-1], base_url=at, headers=headers)
        return opened

    platform, sme, person = (over(each) for each in (world.platform, world.sme, world.approver))

    def leaves(expected: int, verb: Any, *args: Any, **options: Any) -> Any:
        before, lost = size(world), sum(len(line.lost) for line in lines)
        done = verb(*args, **options)
        assert size(world) - before == expected, verb
        assert sum(len(line.lost) for line in lines) > lost
        return done

    terms = {name: world.offering[name] for name in ("kind", "purposes", "max_days")}
    terms |= {"classification": "general", "personal_information": "none", "jurisdictions": ["CN"]}
    terms |= {"title_en": "Lossy", "title_zh": "线", "approval": "provider"}
    terms["source"] = {"connector": "files", "path": "data.bin"}
    offering = leaves(1, platform.publish, terms)
    assert offering.version == 1
    wanted = {"purpose": "logistics_planning", "days": 5}
    first = leaves(1, sme.request, offering, **wanted)
    leaves(1, sme.comment, first, "Hello.")
    leaves(1, person.ask_back, first, "Why?")
    leaves(1, sme.answer, first, "So.")
    leaves(1, person.reject, first, "No.")
    leaves(1, sme.appeal, first, "Please.")
    leaves(1, sme.withdraw, first)
    second = leaves(1, sme.request, offering, **wanted)
    grant = leaves(2, person.approve, second).grant
    renewal = leaves(1, sme.renew, grant, days=20)
    assert leaves(2, person.approve, renewal).grant.id == grant.id
    leaves(1, platform.withdraw_offering, offering)
    for each in (platform, sme, person):
        each.close()
