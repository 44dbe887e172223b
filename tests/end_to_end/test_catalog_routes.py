"""The catalog over HTTP: search, facets, versions, ETags, and what private offerings look like."""

import json

import pytest

from exchange.client.profile import create_profile
from exchange.client.session import Refusal
from tests.support.actors import join, operator, publish
from tests.support.commands import exchange
from tests.support.story import DATABASES, assert_problem, exchange_on


@pytest.fixture(scope="module", params=DATABASES)
def desk(request, tmp_path_factory):
    with exchange_on(request.param, tmp_path_factory.mktemp("catalog")) as server:
        yield Desk(server)


class Desk:
    """A platform with three offerings, one of them private to `friend` since its version 2."""

    def __init__(self, server) -> None:
        by = self.operator = operator(server.state)
        self.folder = server.state.parent
        self.platform = join(by, "Platform", ["platform"])
        self.friend, self.sme = join(by, "Friend", ["sme"]), join(by, "SME", ["sme"])
        made = publish(self.platform, title_zh="铁路物流", industries=["transport"])
        self.rail = self.revise(made, title_en="Rail, revised")
        self.shop = publish(self.platform, title_en="Shops", industries=["retail", "postal"])
        private = publish(self.platform, title_en="Quiet", title_zh="安静")
        self.quiet = self.revise(private, audience=[self.friend.profile.organisation_id])

    def revise(self, made, **terms):
        return self.platform.put(f"/v1/offerings/{made['id']}", terms_of(made) | terms)


OF_THE_EXCHANGE = (
    *("id", "provider_id", "version", "status", "terms_digest"),
    *("objects", "created_at", "changed_at"),
)


def terms_of(offering):
    return {k: v for k, v in offering.items() if k not in OF_THE_EXCHANGE}


def titles(session, **asked):
    return [o["title_en"] for o in session.pages("/v1/offerings", **asked)]


def refused(session, path, **headers):
    with pytest.raises(Refusal) as refusal:
        session.request("GET", path, headers=headers)
    return refusal.value.status, refusal.value.document


def test_a_search_by_text_and_repeated_facets(desk):
    assert titles(desk.sme, q="物流") == ["Rail, revised"]
    assert titles(desk.sme, q="flights") == []  # what its first version was called
    assert titles(desk.sme, industry=["transport", "retail"]) == ["Shops", "Rail, revised"]
    assert titles(desk.sme, industry=["transport", "retail"], q="shop") == ["Shops"]
    assert titles(desk.sme, limit=1) == ["Shops", "Rail, revised"]
    assert refused(desk.sme, "/v1/offerings?industry=gardening")[0] == 422
    assert refused(desk.sme, "/v1/offerings?q=%00")[0] == 422


def test_a_private_offering_is_like_none_for_others(desk):
    path = f"/v1/offerings/{desk.quiet['id']}"
    none = "/v1/offerings/off_" + "0" * 26
    for below in ("", "/versions", "/versions/1", "/versions/2"):
        status, shown = refused(desk.sme, path + below)
        assert status == 404
        expected = refused(desk.sme, none + below)[1]
        assert {**shown, "request_id": 0} == {**expected, "request_id": 0}
        for session in (desk.friend, desk.operator, desk.platform):
            if below != "/versions/1":
                assert session.get(path + below)
    assert titles(desk.sme, q="安静") == []
    assert desk.sme.get("/v1/offerings/facets", q="安静")["total"] == 0
    assert titles(desk.friend, q="安静") == ["Quiet"]
    assert desk.friend.get(path)["audience"] is None
    assert desk.operator.get(path)["audience"] == [desk.friend.profile.organisation_id]


def test_versions_are_as_they_were(desk):
    path = f"/v1/offerings/{desk.rail['id']}/versions"
    listed = list(desk.sme.pages(path, limit=1))
    assert [v["version"] for v in listed] == [2, 1]
    first = desk.sme.get(f"{path}/1")
    assert (first["version"], first["title_en"]) == (1, "Flights from New York, 2013")
    assert first["changed_at"] == listed[1]["published_at"]
    assert desk.sme.get(f"{path}/2")["title_en"] == "Rail, revised"
    assert refused(desk.sme, f"{path}/3")[1]["type"].endswith("version_unknown")
    assert refused(desk.sme, f"{path}/0")[0] == 422
    assert refused(desk.sme, f"{path}?cursor=b2Zm")[0] == 400  # `off`, no number
    receipt = desk.platform.request("GET", f"/v1/receipts/{listed[0]['event_id']}")
    assert receipt.status_code == 200


def test_a_version_from_when_it_was_private_stays_so(desk):
    friend = desk.friend.profile.organisation_id
    made = publish(desk.platform, title_en="Once private", audience=[friend])
    desk.revise(made, title_en="Now public", audience=None)
    path = f"/v1/offerings/{made['id']}/versions"
    assert [v["version"] for v in desk.sme.pages(path)] == [2]
    assert refused(desk.sme, f"{path}/1")[1]["type"].endswith("version_unknown")
    assert [v["version"] for v in desk.friend.pages(path)] == [2, 1]
    assert desk.friend.get(f"{path}/1")["title_en"] == "Once private"
    desk.platform.post(f"/v1/offerings/{made['id']}/withdraw")


def test_an_answer_that_still_holds_is_not_sent_again(desk):
    path = f"/v1/offerings/{desk.shop['id']}"
    for each in (path, "/v1/offerings?q=shops", "/v1/offerings/facets", path + "/versions"):
        first = desk.sme.request("GET", each)
        tag = first.headers["etag"]
        assert first.headers["vary"] == "Authorization"
        assert first.headers["cache-control"] == "private, no-cache"
        again = desk.sme.http.get(each, headers=tagged(desk.sme, tag))
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    mine = desk.sme.request("GET", path).headers["etag"]
    other = desk.platform.http.get(path, headers=tagged(desk.platform, mine))
    assert other.status_code == 200  # it sees more, so it is another answer
    assert "etag" not in desk.sme.http.get(path).headers  # no token: a refusal, never kept
    desk.shop = desk.revise(desk.shop, title_en="Shops and kiosks")
    assert desk.sme.http.get(path, headers=tagged(desk.sme, mine)).status_code == 200


def test_a_change_is_made_only_to_what_was_read(desk):
    """RFC 9110 13.1.1: two who revise at once do not write over each other."""
    path = f"/v1/offerings/{desk.shop['id']}"
    terms = terms_of(desk.shop)
    read = desk.platform.request("GET", path).headers["etag"]

    def put(tag, title):
        headers = {"Authorization": f"Bearer {desk.platform.token()}", "If-Match": tag}
        return desk.platform.http.put(path, json={**terms, "title_en": title}, headers=headers)

    assert put(read, "Shops, by the first").status_code == 200
    late = put(f'"other", {read}', "Shops, by the second")
    assert_problem(late, 412, "precondition_failed")
    assert desk.platform.get(path)["title_en"] == "Shops, by the first"
    now = late.headers["etag"]
    assert now == desk.platform.request("GET", path).headers["etag"]
    assert_problem(put(f"W/{now}", "Weakly"), 412, "precondition_failed")
    assert put("*", "Whatever it is").status_code == 200
    draft = desk.platform.post("/v1/offerings", terms)
    path = f"/v1/offerings/{draft['id']}"
    assert_problem(put(read, "Another's"), 412, "precondition_failed")
    mine = desk.platform.request("GET", path).headers["etag"]
    assert put(mine, "A draft's").status_code == 200


def tagged(session, tag):
    return {"Authorization": f"Bearer {session.token()}", "If-None-Match": f'"x", {tag}'}


def test_facets_are_counted(desk):
    counted = desk.sme.get("/v1/offerings/facets")
    assert (counted["total"], counted["capped"]) == (2, False)
    assert counted["kind"] == [{"value": "dataset", "count": 2}]
    by_industry = {each["value"]: each["count"] for each in counted["industry"]}
    assert by_industry == {"transport": 1, "retail": 1, "postal": 1}
    platform = desk.platform.profile.organisation_id
    assert counted["platform"] == [{"value": platform, "count": 2}]
    assert desk.operator.get("/v1/offerings/facets", q="quiet")["total"] == 1
    narrowed = desk.sme.get("/v1/offerings/facets", industry=["retail"])
    assert [each["value"] for each in narrowed["industry"]] == ["postal", "retail"]


def test_the_command_searches_and_lists_versions(desk):
    profile = desk.folder / "sme.json"
    create_profile(profile, desk.sme.profile)
    found = exchange("offering", "search", "物流", "--json", "-p", profile, cwd=desk.folder)
    assert [o["id"] for o in json.loads(found.stdout)] == [desk.rail["id"]]
    shown = exchange(
        "offering", "search", "--industry", "transport", "-p", profile, cwd=desk.folder
    )
    assert desk.rail["id"] in shown.stdout
    assert desk.shop["id"] not in shown.stdout
    listed = exchange(
        "offering", "versions", desk.rail["id"], "--json", "-p", profile, cwd=desk.folder
    )
    assert [v["version"] for v in json.loads(listed.stdout)] == [2, 1]
    one = exchange(
        "offering", "versions", desk.rail["id"], "--number", "1", "-p", profile, cwd=desk.folder
    )
    assert "Flights from New York" in one.stdout
