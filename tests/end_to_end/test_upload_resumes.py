"""A platform's file over a line that is cut and to an exchange that is killed: it goes on."""

import hashlib
import json
import os
import resource
import signal
import time

import httpx
import pytest

from exchange.client import Refused
from exchange.client.profile import create_profile
from tests.support.actors import TERMS, join, operator
from tests.support.commands import Running, environment, exchange
from tests.support.cutting import CuttingLine
from tests.support.either import MODES, Either
from tests.support.server import ExchangeServer

MIB = 1 << 20
LARGEST = 8 * MIB
DATA = os.urandom(3 * MIB)


class Place:
    """An exchange that is reached by a line only, and a platform there."""

    def __init__(self, folder, line, server):
        self.folder, self.line, self.server = folder, line, server
        self.platform = join(operator(server.state), "Skyway", ["platform"])
        self.profile = folder / "platform.json"
        create_profile(self.profile, self.platform.profile)
        self.count = 0

    def file(self, data=DATA):
        """A file of a name that was not used before."""
        self.count += 1
        path = self.folder / f"data-{self.count}.bin"
        path.write_bytes(data)
        return path

    def unfinished(self):
        return {each["name"]: each for each in self.platform.pages("/v1/uploads")}

    def forget(self):
        """Drop what is unfinished, as a day's sweep does; what is being written ends first."""
        for each in self.unfinished().values():
            until = time.monotonic() + 60
            path = f"{self.server.url}/v1/uploads/{each['id']}"
            headers = {"Authorization": f"Bearer {self.platform.token()}"}
            while httpx.delete(path, headers=headers).status_code == 409:
                assert time.monotonic() < until
                time.sleep(0.05)

    def stored(self, path):
        """The file as offerings would have it."""
        draft = self.platform.post(
            "/v1/offerings", TERMS | {"source": {"connector": "files", "path": path.name}}
        )
        published = self.platform.post(f"/v1/offerings/{draft['id']}/publish")
        return [(each["bytes"], each["sha256"]) for each in published["objects"]]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder, line = tmp_path_factory.mktemp("resumes"), CuttingLine()
    with ExchangeServer(folder / "state", issuer=line.url, upload_bytes=LARGEST) as server:
        line.leads_to = server.port
        yield Place(folder, line, server)
    line.close()


@pytest.fixture
def line(place):
    place.line.cuts, place.line.loses, place.line.offsets = [], [], []
    yield place.line
    place.line.release()


@pytest.fixture(params=MODES)
def me(place, request):
    opened = Either(request.param, place.platform.profile)
    yield opened
    opened.shut()


def whole(data=DATA):
    return (len(data), hashlib.sha256(data).hexdigest())


def test_a_line_that_is_cut_again_and_again(place, line, me):
    path, told = place.file(), []
    me.grants()  # a token is here
    line.cuts = [MIB + 123, 700_000, 1, 500_000]
    stored = me.upload(path, progress=lambda *each: told.append(each))
    assert (stored.bytes, stored.sha256) == whole()
    assert place.stored(path) == [whole()]
    assert line.cuts == []
    assert line.offsets[0] == 0
    assert line.offsets[-1] > 0
    assert line.offsets == sorted(line.offsets)
    assert told[-1] == (path.name, len(DATA), len(DATA))
    assert place.unfinished() == {}


@pytest.mark.parametrize("lost", [b"POST /v1/uploads ", b"PATCH ", b"POST /v1/uploads/upl_"])
def test_an_answer_that_is_lost(place, line, me, lost):
    path = place.file()
    line.loses = [lost]
    assert me.upload(path).sha256 == whole()[1]
    assert line.loses == []
    assert line.offsets == [0]  # nothing was sent twice
    assert place.unfinished() == {}
    assert place.stored(path) == [whole()]


def test_an_exchange_that_is_killed_and_started_again(place, line):
    path = place.file()
    line.hold_after(2 * MIB)
    command = uploading(place, path)
    try:
        until_some_arrived(place, path)
        place.server.kill()
        place.server.start()
        line.release()
        said, _ = command.process.communicate(timeout=60)
    finally:
        command.kill()
    assert command.process.returncode == 0, said
    assert whole()[1] in said
    assert line.offsets[0] == 0
    assert line.offsets[-1] > 0
    assert place.stored(path) == [whole()]


def test_ctrl_c_and_the_same_command_again(place, line):
    path = place.file()
    line.hold_after(2 * MIB)
    command = uploading(place, path)
    try:
        until_some_arrived(place, path)
        assert command.end(signal.SIGINT) != 0
    finally:
        command.kill()
    assert "the same command goes on from there" in command.said
    line.release()
    before = len(line.offsets)
    again = exchange("upload", path, "--profile", place.profile, cwd=place.folder)
    assert again.returncode == 0, again.stderr
    assert whole()[1] in again.stdout
    assert all(line.offsets[before:])
    assert place.unfinished() == {}
    assert place.stored(path) == [whole()]


def test_a_file_that_changed_between_two_calls_is_begun_afresh(place, line, me):
    path, other = place.file(), os.urandom(MIB)
    line.cuts = [2 * MIB]
    meanwhile(me, stop)
    with pytest.raises(Stopped):
        me.upload(path)
    path.write_bytes(other)
    assert me.upload(path).sha256 == whole(other)[1]
    assert line.offsets == [0, 0]
    assert place.stored(path) == [whole(other)]
    [left] = place.unfinished().values()  # a day's sweep takes it, or whoever goes on with it
    assert left["sha256"] == whole()[1]
    place.forget()


def test_an_upload_that_was_forgotten_is_begun_afresh(place, line, me):
    path = place.file()
    line.cuts = [2 * MIB]
    meanwhile(me, place.forget)
    assert me.upload(path).sha256 == whole()[1]
    assert line.offsets == [0, 0]
    assert place.stored(path) == [whole()]
    assert place.unfinished() == {}


def test_what_is_too_large_is_refused_before_a_byte_of_it_is_sent(place, line):
    path = place.file(bytes(LARGEST + 1))
    refused = exchange("upload", path, "--json", "--profile", place.profile, cwd=place.folder)
    assert refused.returncode == 1
    assert f"A file has {LARGEST} bytes at most." in refused.stderr
    assert json.loads(refused.stdout)["type"] == "urn:exchange:problem:object_too_large"
    assert line.offsets == []


def test_a_full_disk_is_told_of_and_what_arrived_stays(place, line, me):
    data = os.urandom(LARGEST)
    path, process = place.file(data), place.server.process.pid
    me.grants()  # a token is here, so that the database need not grow
    kept = [each.stat().st_size for each in place.server.state.rglob("*") if each.is_file()]
    limit = max(size for size in kept if size < LARGEST) + MIB  # what is written to goes on
    assert limit < LARGEST
    before = resource.prlimit(process, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with pytest.raises(Refused, match="no room for this file") as refused:
            me.upload(path)
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)
    assert (refused.value.status, refused.value.code) == (507, "storage_full")
    assert me.upload(path).sha256 == whole(data)[1]
    assert line.offsets == [0, limit]


def test_another_content_of_a_name_is_never_overwritten(place, line, me):
    path = place.file()
    me.upload(path)
    path.write_bytes(b"other")
    with pytest.raises(Refused) as refused:
        me.upload(path)
    assert refused.value.code == "object_exists"
    assert place.unfinished() == {}
    assert place.stored(path) == [whole()]


class Stopped(Exception):
    """Whoever uploads has had enough."""


def stop():
    raise Stopped


def meanwhile(me, act):
    """Do something once, instead of the first pause."""
    sleep, acts = me.me.session.sleep, [act]

    def slept(seconds):
        return acts.pop()() if acts else sleep(seconds)

    async def paused(seconds):
        await sleep(seconds)
        if acts:
            acts.pop()()

    me.me.session.sleep = slept if me.mode == "blocking" else paused


def uploading(place, path):
    return Running(
        *("upload", path, "--profile", place.profile), cwd=place.folder, env=environment()
    )


def until_some_arrived(place, path):
    """Wait for the line to stand still, and for the exchange to have a part of the file."""
    assert place.line.held.wait(60)
    until = time.monotonic() + 60
    while not place.unfinished()[path.name]["offset"]:
        assert time.monotonic() < until
        time.sleep(0.05)
