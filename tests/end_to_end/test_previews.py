"""Schemas, samples and DCAT over HTTP and by the command, with ETags."""

import json

import pytest

from exchange.client.profile import create_profile
from tests.support.actors import join, operator, publish
from tests.support.commands import exchange
from tests.support.story import DATABASES, exchange_on

ROWS = "日期,吨\n2026-01-01,1200\n2026-01-02,\n".encode()


@pytest.fixture(scope="module", params=DATABASES)
def desk(request, tmp_path_factory):
    with exchange_on(request.param, tmp_path_factory.mktemp("previews")) as server:
        yield Desk(server)


class Desk:
    """A platform with a table of which rows are shown, and one of which none are."""

    def __init__(self, server) -> None:
        by = operator(server.state)
        self.folder = server.state.parent
        self.platform, self.sme = join(by, "平台", ["platform"]), join(by, "SME", ["sme"])
        self.table = publish(self.platform, ROWS, file_name="tonnes.csv", sample_rows=5)
        self.plain = publish(self.platform)
        create_profile(self.folder / "sme.json", self.sme.profile)

    def run(self, *verb):
        return exchange(*verb, "--profile", "sme.json", cwd=self.folder)


ABOUT = ("schema", "sample", "dcat")


@pytest.mark.parametrize("what", ABOUT)
def test_whoever_has_an_answer_is_told_so(desk, what):
    path = f"/v1/offerings/{desk.table['id']}/{what}"
    first = desk.sme.request("GET", path)
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"] == "Authorization"
    again = desk.sme.request("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_new_version_has_a_new_schema_and_tag(desk):
    made = publish(desk.platform, b"a\n1\n", file_name="one.csv", sample_rows=1)
    path = f"/v1/offerings/{made['id']}/schema"
    first = desk.sme.request("GET", path)
    desk.platform.request("PUT", "/v1/files/two.csv", content=b"a,b\n1,2\n")
    kept = ("kind", "title_en", "title_zh", "classification", "personal_information", "purposes")
    terms = {name: made[name] for name in (*kept, "max_days", "jurisdictions")}
    source = {"connector": "files", "path": "two.csv"}
    desk.platform.put(f"/v1/offerings/{made['id']}", terms | {"source": source})
    second = desk.sme.request("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    assert second.json()["version"] == 2
    assert [column["name"] for column in second.json()["files"][0]["columns"]] == ["a", "b"]
    sample = desk.run("offering", "sample", made["id"], "--json")
    assert sample.returncode == 1
    assert json.loads(sample.stdout)["type"] == "urn:exchange:problem:sample_unknown"


def test_the_command_shows_columns_and_rows(desk):
    shown = desk.run("offering", "schema", desk.table["id"])
    assert shown.returncode == 0, shown.stderr
    assert "tonnes.csv" in shown.stdout
    assert "date32[day]" in shown.stdout
    rows = desk.run("offering", "sample", desk.table["id"])
    assert [line.split() for line in rows.stdout.splitlines()] == [
        ["tonnes.csv"],
        ["日期", "吨"],
        ["2026-01-01", "1200"],
        ["2026-01-02"],
    ]
    document = desk.run("offering", "schema", desk.table["id"], "--json")
    assert json.loads(document.stdout)["files"][0]["row_count"] == 2
    none = desk.run("offering", "schema", desk.plain["id"])
    assert none.returncode == 1
    assert "schema_unknown" in none.stderr


def test_the_command_prints_dcat(desk):
    one = json.loads(desk.run("offering", "dcat", desk.table["id"]).stdout)
    assert one["dct:identifier"] == desk.table["id"]
    for _ in range(51):  # more than a page
        draft = desk.platform.post("/v1/offerings", SERVICE)
        desk.platform.post(f"/v1/offerings/{draft['id']}/publish")
    whole = json.loads(desk.run("offering", "dcat").stdout)
    listed = [node["dct:identifier"] for node in whole["dcat:dataset"] + whole["dcat:service"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == {offering["id"] for offering in desk.sme.pages("/v1/offerings")}


SERVICE = {
    "kind": "compute",
    "title_en": "Compute",
    "title_zh": "算力",
    "classification": "general",
    "personal_information": "none",
    "purposes": ["model_training"],
    "max_days": 9,
    "jurisdictions": ["CN"],
}
