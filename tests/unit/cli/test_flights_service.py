"""The sample platform's service: real sums over real flights, for whoever has its key."""

import json
import time

import httpx
import pytest

from exchange.cli.flights_service import KEY_HEADER, RULES, serving
from exchange.cli.world import write_dataset
from exchange.formats.allowed_paths import allowed, parse
from tests.support.called import calling, make_called

KEY = "planted-5c0ffee5"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("flights") / "flights.parquet"
    write_dataset(path)
    return path


@pytest.fixture(scope="module")
def log(dataset):
    return dataset.with_name("calls.jsonl")


@pytest.fixture(scope="module")
def service(dataset, log):
    with (
        serving(dataset, KEY, log) as url,
        httpx.Client(base_url=url, headers={KEY_HEADER: KEY}, timeout=30) as http,
    ):
        yield http


@pytest.fixture(scope="module")
def flights(dataset):
    import pyarrow.parquet as parquet

    return parquet.read_table(dataset, columns=["carrier", "origin", "month", "dep_delay"])


def test_sums_agree_with_another_reader_of_the_same_file(service, flights):
    rows = service.get("/stats/delays", params={"by": "carrier"}).json()["rows"]
    by = flights.group_by("carrier").aggregate([("dep_delay", "mean"), ("carrier", "count")])
    expected = {
        row["carrier"]: (row["carrier_count"], round(row["dep_delay_mean"], 2))
        for row in by.to_pylist()
    }
    assert {row["carrier"]: (row["flights"], row["mean_delay"]) for row in rows} == expected
    assert sum(row["flights"] for row in rows) == flights.num_rows == 336_776


def test_a_condition_narrows_what_is_counted(service, flights):
    rows = service.get("/stats/delays?by=month&origin=JFK").json()["rows"]
    assert [row["month"] for row in rows] == list(range(1, 13))
    june = service.post(
        "/query", json={"measures": ["flights"], "where": {"month": 6, "origin": "JFK"}}
    ).json()["rows"]
    columns = zip(*(flights[name].to_pylist() for name in ("month", "origin")), strict=True)
    counted = sum(pair == (6, "JFK") for pair in columns)
    assert june == [{"flights": counted}]
    assert rows[5]["flights"] == counted


def test_a_query_by_two_columns(service):
    question = {"measures": ["late", "longest_delay"], "by": ["origin", "month"], "limit": 5}
    rows = service.post("/query", json=question).json()["rows"]
    assert len(rows) == 5
    assert set(rows[0]) == {"origin", "month", "late", "longest_delay"}


def test_rows_as_events(service):
    with service.stream("GET", "/stats/stream?by=month") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line]
    assert events == service.get("/stats/delays?by=month").json()["rows"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/stats/delays?by=tailnum", None, 422),
        ("GET", "/stats/delays?by=carrier;DROP TABLE flights", None, 422),
        ("GET", "/stats/delays?month=1 OR 1=1", None, 422),
        ("GET", "/stats/delays?limit=0", None, 422),
        ("GET", "/stats/delays?limit=-1", None, 422),
        ("GET", "/stats/delays?1=1", None, 422),
        ("GET", "/nothing", None, 404),
        ("POST", "/query", b"[]", 400),
        ("POST", "/query", b"{" * 5000, 400),
        ("POST", "/query", b"x" * 20_000, 413),
        ("POST", "/query", b'{"sql": "SELECT 1", "measures": ["count(*)"]}', 422),
        ("POST", "/query", b'{"measures": []}', 422),
        ("POST", "/query", b'{"by": ["month", "month"]}', 422),
        ("POST", "/query", b'{"where": {"dep_delay": 1}}', 422),
        ("POST", "/query", b'{"limit": true}', 422),
    ],
)
def test_other_questions_are_not_answered(service, method, path, body, status):
    answer = service.request(method, path, content=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_a_value_is_never_part_of_the_question(service):
    where = {"origin": "' OR '1'='1"}
    assert service.post("/query", json={"where": where}).json()["rows"] == [{"flights": 0}]


def test_without_the_key_nothing(service):
    for headers in ({}, {KEY_HEADER: "wrong"}, {"Authorization": f"Bearer {KEY}"}):
        assert httpx.get(f"{service.base_url}/stats/delays", headers=headers).status_code == 401


def test_through_the_gateway_its_log_names_each_use(service, log):
    rules = [parse(rule) for rule in RULES]
    assert allowed(rules, "GET", "/stats/delays")
    made = make_called(str(service.base_url), secret={"value": KEY}, rules=RULES)
    with calling(made) as gateway:
        before = len(log.read_text().splitlines())
        url = gateway.url("stats/delays?by=origin")
        rows = httpx.get(url, headers=gateway.headers).json()["rows"]
        assert [row["origin"] for row in rows] == ["EWR", "JFK", "LGA"]
        answer = httpx.post(gateway.url("query"), headers=gateway.headers, json={"by": ["origin"]})
        assert answer.status_code == 200
        while len(written := log.read_text().splitlines()[before:]) < 2:
            time.sleep(0.01)  # its line may come after its answer
        lines = [json.loads(line) for line in written]
        assert [line["use"] for line in lines] == list(gateway.door.uses)
        assert [line["call"] for line in lines] == ["GET /stats/delays", "POST /query"]
