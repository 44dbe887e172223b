"""What a grant's limits look like from outside: in the offering, the grant, and the refusals."""

import time

import httpx
import pytest

from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.story import DATABASES, assert_problem, exchange_on

SIZE = 3_000_000
HUGE = 64 * 1024 * 1024  # more than the connection's buffers hold: it runs until it is read


@pytest.fixture(scope="module", params=DATABASES)
def server(request, tmp_path_factory):
    with exchange_on(request.param, tmp_path_factory.mktemp("limits")) as running:
        yield running


@pytest.fixture(scope="module")
def platform(server):
    by = join(operator(server.state), "Platform", ["platform"], {"jurisdiction": "CN"})
    by.request("PUT", "/v1/files/large.bin", content=bytes(SIZE))
    by.request("PUT", "/v1/files/huge.bin", content=bytes(HUGE))
    return by


@pytest.fixture
def sme(server):
    return join(operator(server.state), "SME", ["sme"], SME_ATTRIBUTES)


def granted(platform, sme, name="large.bin", **limits):
    source = {"connector": "files", "path": name}
    offering = publish(platform, source=source, limits=limits)
    assert {k: v for k, v in offering["limits"].items() if v is not None} == limits
    grant = ask(sme, offering)["grant"]
    assert grant["obligations"] == {"days": 30, **limits}
    return f"/gateway/grants/{grant['id']}/files/{name}", bearer(sme, grant)


def bearer(sme, grant):
    token = sme.token(f"grant:{grant['id']}")
    return {"Authorization": f"Bearer {token}"}


def test_bytes_run_out_and_a_narrower_range_still_fits(platform, sme):
    path, headers = granted(platform, sme, bytes=SIZE + 1000)
    assert len(sme.http.get(path, headers=headers).content) == SIZE
    refused = sme.http.get(path, headers=headers)
    assert_problem(refused, 403, "bytes_exhausted")
    said = refused.json()
    assert (said["ceiling"], said["left"]) == (SIZE + 1000, 1000)
    assert said["remedies"][0]["code"] == "narrow_range"
    assert said["remedies"][0]["params"] == {"bytes": 1000}
    narrow = sme.http.get(path, headers={**headers, "Range": "bytes=0-999"})
    assert (narrow.status_code, len(narrow.content)) == (206, 1000)
    assert_problem(sme.http.get(path, headers=headers), 403, "bytes_exhausted")
    assert sme.http.head(path, headers=headers).status_code == 200  # no data, no use


def test_a_download_that_was_cut_counts_what_was_sent(platform, sme):
    path, headers = granted(platform, sme, "huge.bin", bytes=HUGE * 3 // 2)
    with (
        httpx.Client(base_url=sme.http.base_url) as other,
        other.stream("GET", path, headers=headers) as answer,
    ):
        pieces = answer.iter_raw(1000)  # once nobody holds it the line is closed
        next(pieces)
        assert_problem(sme.http.get(path, headers=headers), 403, "bytes_exhausted")
    for _ in range(200):  # its end is noted soon after
        answer = sme.http.get(path, headers=headers)
        if answer.status_code == 200:
            return
        assert_problem(answer, 403, "bytes_exhausted")
        time.sleep(0.05)
    raise AssertionError("what was not sent was not given back")


def test_a_minute_has_so_many_requests(platform, sme):
    path, headers = granted(platform, sme, calls_per_minute=2)
    answers = [sme.http.get(path, headers=headers) for _ in range(5)]  # over two minutes at most
    refused = next(each for each in answers if each.status_code != 200)
    assert_problem(refused, 429, "rate_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 61


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": "*"}])
def test_requests_without_data_count_towards_the_minute(platform, sme, headers):
    path, token = granted(platform, sme, calls_per_minute=2)
    method = "GET" if headers else "HEAD"
    answers = [sme.http.request(method, path, headers=token | headers) for _ in range(5)]
    assert answers[0].status_code == (304 if headers else 200)
    assert 429 in [each.status_code for each in answers]


def test_no_more_at_once_than_granted(platform, sme):
    path, headers = granted(platform, sme, "huge.bin", concurrent=1)
    with sme.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        refused = sme.http.get(path, headers=headers)
        assert_problem(refused, 429, "too_many_at_once")
        assert refused.headers["retry-after"] == "1"
        assert sum(map(len, answer.iter_raw())) == HUGE
    for _ in range(100):
        if sme.http.get(path, headers=headers).status_code == 200:
            return
    raise AssertionError("its place was not given back")


@pytest.mark.parametrize(
    "limits",
    [{"calls": 3}, {"paths": ["GET /a"]}, {"bytes": 0}, {"dance": 1}, {"concurrent": "2"}],
)
def test_limits_that_make_no_sense_are_refused(platform, limits):
    with pytest.raises(Exception, match=r"limits|files are"):
        publish(platform, source={"connector": "files", "path": "large.bin"}, limits=limits)
