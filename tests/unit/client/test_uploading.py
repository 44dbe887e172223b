"""Uploads to an exchange that is away, forgets, refuses and lies: whole and as read, or told so."""

import hashlib
import os

import httpx
import pytest

from exchange.client import NotAnExchange, NotAsPublished, NotReachable, Refused, uploading
from tests.support.either import MODES, Either, joined
from tests.support.taking import Taking, fault

DATA = bytes(range(256)) * 40
SHA = hashlib.sha256(DATA).hexdigest()
STEP = 4000
ANNOUNCED = {"name": "data.bin", "bytes": len(DATA), "sha256": SHA}
COMPLETE = "/complete"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(uploading, "SEGMENT", STEP)
    monkeypatch.setattr(uploading, "PIECE", 1000)
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture(params=MODES)
def at(request):
    opened = []

    def open_(exchange):
        opened.append(Either(request.param, joined(), exchange))
        return opened[-1]

    yield open_
    for each in opened:
        each.shut()


def test_a_file_goes_up_in_segments_and_is_told_of(at, file):
    exchange, told = Taking(), []
    stored = at(exchange).upload(file, progress=lambda *each: told.append(each))
    assert exchange.stored == {"data.bin": DATA}
    assert (stored.name, stored.bytes, stored.sha256) == ("data.bin", len(DATA), SHA)
    assert exchange.said() == ["GET", "POST", *["PATCH /upl_0"] * 3, "POST /upl_0/complete"]
    assert exchange.offsets() == [0, STEP, 2 * STEP]
    assert all(r.headers["tus-resumable"] == "1.0.0" for r in exchange.asked if r.method == "PATCH")
    assert told[0] == ("data.bin", 0, len(DATA))
    assert told[-1] == ("data.bin", len(DATA), len(DATA))
    assert [each[1] for each in told] == sorted(each[1] for each in told)
    assert exchange.uploads == {}


def test_name_and_store_are_its_callers_to_choose(at, file):
    exchange = Taking()
    at(exchange).upload(str(file), "2014/flights.bin", connection="con_1")
    begun = exchange.asked[1].read()
    assert b'"connection":"con_1"' in begun.replace(b" ", b"")
    assert exchange.stored == {"2014/flights.bin": DATA}


def test_an_empty_file_is_a_file(at, file):
    file.write_bytes(b"")
    exchange = Taking()
    assert at(exchange).upload(file).bytes == 0
    assert exchange.said() == ["GET", "POST", "POST /upl_0/complete"]


@pytest.mark.parametrize(
    "passing",
    [
        (503, "not_now", "Not now."),
        (408, "body_too_slow", "The body took more than 30 seconds."),
        (429, "too_many", "Slower."),
        httpx.WriteError("cut"),
        httpx.ReadError("the answer is lost"),
        lambda: httpx.Response(502, text="<html>"),
    ],
)
@pytest.mark.parametrize(("verb", "first"), [("GET", 1), ("POST", 1), ("POST", 2), ("PATCH", 2)])
def test_what_passes_is_tried_again_from_where_it_came(at, file, passing, verb, first):
    exchange = Taking()
    exchange.faults = [fault(passing, verb, first, count=2)]
    me = at(exchange)
    me.upload(file)
    assert exchange.stored == {"data.bin": DATA}
    assert sorted(set(exchange.offsets())) == [0, STEP, 2 * STEP]
    assert len(me.paused) == 2
    assert 0 < me.paused[0] <= me.paused[1] < 1


def test_the_lost_answer_of_a_beginning_leaves_no_second_one(at, file):
    exchange = Taking()

    def begun_in_silence():
        exchange.add(0, **ANNOUNCED)
        return httpx.ReadError("cut")

    exchange.faults = [fault(begun_in_silence, "POST")]
    at(exchange).upload(file)
    assert exchange.said()[:4] == ["GET", "POST", "GET", "PATCH /upl_0"]
    assert exchange.stored == {"data.bin": DATA}
    assert exchange.uploads == {}


def test_what_an_earlier_call_began_goes_on_and_nothing_is_sent_twice(at, file):
    exchange = Taking()
    exchange.faults = [fault(httpx.WriteError("cut"), first=3, count=99)]
    me = at(exchange)
    with pytest.raises(NotReachable):
        me.upload(file)
    assert len(me.paused) == 5
    exchange.faults, exchange.asked, told = [], [], []
    at(exchange).upload(file, progress=lambda *each: told.append(each[1]))
    assert exchange.said() == ["GET", "PATCH /upl_0", "POST /upl_0/complete"]
    assert exchange.offsets() == [2 * STEP]
    assert told[0] == 2 * STEP
    assert exchange.stored == {"data.bin": DATA}


@pytest.mark.parametrize(
    "other", [{"sha256": "0" * 64}, {"bytes": 5}, {"name": "a"}, {"connection": "con_2"}], ids=str
)
def test_what_is_of_other_bytes_or_goes_elsewhere_is_left_alone(at, file, other):
    exchange = Taking()
    theirs = exchange.add(3, **ANNOUNCED | other)
    at(exchange).upload(file)
    assert exchange.stored == {"data.bin": DATA}
    assert list(exchange.uploads) == [theirs]


def test_what_the_exchange_forgot_is_begun_afresh(at, file):
    exchange = Taking()
    exchange.faults = [fault(lambda: exchange.uploads.clear(), first=2)]
    at(exchange).upload(file)
    assert exchange.offsets() == [0, STEP, 0, STEP, 2 * STEP]
    assert exchange.stored == {"data.bin": DATA}


def test_an_exchange_that_always_forgets_is_left(at, file):
    exchange = Taking()
    exchange.faults = [fault(lambda: exchange.uploads.clear(), count=99)]
    me = at(exchange)
    with pytest.raises(Refused, match="no such upload"):
        me.upload(file)
    assert len(me.paused) == 5


def test_it_waits_for_a_request_that_was_cut_and_holds_the_upload(at, file):
    exchange = Taking()
    exchange.faults = [fault((409, "upload_busy", "Another request is writing."), count=7)]
    me = at(exchange)
    me.upload(file)
    assert exchange.stored == {"data.bin": DATA}
    assert sum(me.paused) > 25


def test_another_offset_is_gone_on_from(at, file):
    exchange = Taking()

    def elsewhere():
        exchange.uploads["upl_0"]["data"] = DATA[:123]

    exchange.faults = [fault(elsewhere)]
    at(exchange).upload(file)
    assert exchange.offsets()[:2] == [0, 123]
    assert exchange.stored == {"data.bin": DATA}


def test_a_token_that_ends_in_the_middle_is_asked_for_anew(at, file):
    exchange = Taking()
    exchange.faults = [fault((401, "token_invalid", "It ended."), first=2)]
    me = at(exchange)
    me.upload(file)
    assert exchange.tokens == 2
    assert me.paused == []
    assert exchange.asked[-1].headers["authorization"] == "Bearer t2"
    assert exchange.stored == {"data.bin": DATA}


@pytest.mark.parametrize(
    ("verb", "refusal"),
    [
        ("POST", (413, "object_too_large", "A file has 10 bytes at most.")),
        ("POST", (409, "uploads_too_many", "32 uploads of your organisation.")),
        ("PATCH", (507, "storage_full", "There is no room for this file.")),
        ("PATCH", (403, "role_missing", "No.")),
    ],
)
def test_a_refusal_is_told_at_once_in_the_exchanges_words(at, file, verb, refusal):
    exchange = Taking()
    exchange.faults = [fault(refusal, verb)]
    me = at(exchange)
    with pytest.raises(Refused) as refused:
        me.upload(file)
    assert (refused.value.status, refused.value.code, refused.value.detail) == refusal
    assert me.paused == []
    assert len(exchange.uploads) == (verb == "PATCH")  # what arrived stays for another try


def test_what_can_never_be_complete_takes_no_room(at, file):
    exchange = Taking()
    exchange.faults = [fault((409, "object_exists", "Another content."), "POST", ending=COMPLETE)]
    with pytest.raises(Refused, match="Another content"):
        at(exchange).upload(file)
    assert exchange.uploads == {}
    assert exchange.said()[-1] == "DELETE /upl_0"


def test_other_bytes_than_were_read_are_found_out(at, file):
    exchange = Taking()
    exchange.spoil = lambda data: data[:-1] + b"x"
    with pytest.raises(NotAsPublished, match="stored other bytes"):
        at(exchange).upload(file)
    exchange = Taking()
    exchange.faults = [fault((422, "checksum_mismatch", "Another."), "POST", ending=COMPLETE)]
    with pytest.raises(NotAsPublished, match="other bytes arrived"):
        at(exchange).upload(file)


@pytest.mark.parametrize("how", ["rewritten", "cut short", "replaced"])
def test_a_file_that_changes_meanwhile_is_not_sent_on(at, file, how):
    exchange = Taking()

    def change():
        if how == "replaced":
            fresh = file.with_suffix(".new")
            fresh.write_bytes(DATA)
            fresh.replace(file)
        else:
            file.write_bytes(b"y" * len(DATA) if how == "rewritten" else DATA[:10])
            os.utime(file, (0, 0))  # the clock of files is coarse

    exchange.faults = [fault(change)]
    with pytest.raises(NotAsPublished, match="changed while it was being sent"):
        at(exchange).upload(file)
    assert exchange.offsets() == [0]
    assert (exchange.stored, exchange.uploads) == ({}, {})
    assert at(exchange).upload(file).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("said", [{}, {"Upload-Offset": "x"}, {"Upload-Offset": "0"}], ids=str)
def test_an_answer_without_an_offset_is_no_exchanges(at, file, said):
    exchange = Taking()
    exchange.faults = [fault(lambda: httpx.Response(204, headers=said))]
    with pytest.raises(NotAnExchange):
        at(exchange).upload(file)


def test_more_than_there_is_was_not_sent_by_us(at, file):
    exchange = Taking()
    exchange.add(len(DATA) + 1, **ANNOUNCED)
    with pytest.raises(NotAnExchange, match="more bytes"):
        at(exchange).upload(file)


def test_what_is_not_there_is_said_so(at, tmp_path):
    with pytest.raises(FileNotFoundError):
        at(Taking()).upload(tmp_path / "none.bin")
