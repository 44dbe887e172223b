"""Downloads over a line that cuts, slows, lies and changes its mind: whole, or not at all."""

import hashlib
import http.server
import json
import re
import threading

import pytest

from exchange.client import File, NotAsPublished, Refused
from exchange.client.transfer import Part
from tests.support.either import MODES, Either, joined

DATA = bytes(range(256)) * 4000
SHA = hashlib.sha256(DATA).hexdigest()


class Line(http.server.ThreadingHTTPServer):
    """A small exchange on this machine: `cuts` are how many bytes each answer brings at most."""

    daemon_threads = True

    def __init__(self, cuts=(), data=DATA, name="data.bin"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts, self.data, self.name = list(cuts), data, name
        self.asked, self.tokens, self.expire, self.refuse = [], 0, False, {}
        self.ranges = True
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _json(self, document, status=200):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.tokens += 1
        self._json(
            {"access_token": f"t{self.server.tokens}", "expires_in": 300, "token_type": "Bearer"}
        )

    def do_GET(self):
        line = self.server
        if "/files/" not in self.path:
            item = {"name": line.name, "bytes": len(DATA), "sha256": SHA}
            url = f"{line.url}/gateway/grants/g/files/{line.name}"
            return self._json({"objects": [item | {"url": url}]})
        line.asked.append(dict(self.headers.items()))
        if line.refuse.get(len(line.asked)):
            return self._json({"detail": "No."}, line.refuse[len(line.asked)])
        if line.expire and self.headers["authorization"] != f"Bearer t{line.tokens}":
            return self._json({"detail": "Ended."}, 401)
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range") or "")
        fits = self.headers.get("if-range") == f'"{SHA}"' and line.ranges
        first = int(found[1]) if found and fits else 0
        data = line.data[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{SHA}"')
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(DATA) - 1}/{len(DATA)}")
        self.end_headers()
        most = line.cuts.pop(0) if line.cuts else len(data)
        self.wfile.write(data[:most])
        if most < len(data):
            self.close_connection = True
        return None


@pytest.fixture(params=MODES)
def over(request):
    opened = []

    def open_(line):
        me = Either(request.param, joined(line.url))
        me.me.session.sleep = me._slept if request.param == "blocking" else me._paused
        opened.append((me, line))
        return me

    yield open_
    for me, line in opened:
        me.shut()
        line.shutdown()
        line.server_close()


def test_a_cut_line_goes_on_where_it_ended(over, tmp_path):
    line = Line(cuts=[100_000, 0, 300_000, 0, 0])
    me, told = over(line), []
    [path] = me.download("g", tmp_path, progress=lambda *each: told.append(each))
    assert path.read_bytes() == DATA
    assert [each.name for each in tmp_path.iterdir()] == ["data.bin"]
    starts = [each.get("Range") for each in line.asked]
    assert starts[0] is None
    assert len(starts) == 6
    assert all(each["If-Range"] == f'"{SHA}"' for each in line.asked if each.get("Range"))
    numbers = [int(each.split("=")[1][:-1]) for each in starts if each]
    assert numbers == sorted(numbers)
    assert numbers[-1] > 0
    assert len(me.paused) == 5
    assert told[-1] == ("data.bin", len(DATA), len(DATA))
    assert [each[1] for each in told] == sorted(each[1] for each in told)


def test_another_call_goes_on_too_and_asks_for_the_rest_only(over, tmp_path):
    line = Line(cuts=[400_000])
    line.refuse = dict.fromkeys(range(2, 20), 503)
    with pytest.raises(Refused):
        over(line).download("g", tmp_path)
    [part] = tmp_path.iterdir()
    size = part.stat().st_size
    assert part.name == f"data.bin.{SHA[:16]}.part"
    assert 0 < size <= 400_000
    line.refuse, before = {}, len(line.asked)
    [path] = over(line).download("g", tmp_path)
    assert [each["Range"] for each in line.asked[before:]] == [f"bytes={size}-"]
    assert path.read_bytes() == DATA
    assert not part.exists()


def test_a_server_that_takes_no_ranges_begins_anew(over, tmp_path):
    line = Line(cuts=[400_000])
    line.ranges = False
    assert over(line).download("g", tmp_path)[0].read_bytes() == DATA
    assert len(line.asked) == 2


def test_a_token_that_expires_in_the_middle_is_asked_for_anew(over, tmp_path):
    line = Line(cuts=[200_000])
    me = over(line)
    me.files("g")
    line.expire = True
    line.tokens = 7  # what the client holds counts no longer
    assert me.download("g", tmp_path)[0].read_bytes() == DATA
    assert line.tokens == 8
    assert line.asked[-1]["Authorization"] == "Bearer t8"


def test_a_part_that_was_damaged_is_found_out_and_dropped(over, tmp_path):
    line = Line()
    part = tmp_path / f"data.bin.{SHA[:16]}.part"
    part.write_bytes(b"x" * 1000)
    me = over(line)
    with pytest.raises(NotAsPublished, match="Nothing was kept"):
        me.download("g", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert me.download("g", tmp_path)[0].read_bytes() == DATA


def test_a_part_that_is_whole_needs_no_further_byte(over, tmp_path):
    line = Line()
    (tmp_path / f"data.bin.{SHA[:16]}.part").write_bytes(DATA)
    assert over(line).download("g", tmp_path)[0].read_bytes() == DATA
    assert line.asked == []


def test_more_than_was_published_is_stopped(over, tmp_path):
    with pytest.raises(NotAsPublished, match="more than"):
        over(Line(data=DATA + b"x")).download("g", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_revoked_grant_ends_it_at_once_and_what_is_here_stays(over, tmp_path):
    line = Line(cuts=[400_000])
    line.refuse = {2: 403}
    me = over(line)
    with pytest.raises(Refused, match="No"):
        me.download("g", tmp_path)
    assert len(line.asked) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_it_gives_up_when_nothing_comes(over, tmp_path):
    line = Line(cuts=[0] * 50)
    me = over(line)
    with pytest.raises(Exception, match="does not answer"):
        me.download("g", tmp_path)
    assert len(line.asked) == 6
    assert me.paused == sorted(me.paused) or max(me.paused) <= 30
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_a_file(over, tmp_path, monkeypatch):
    line = Line(data=b"")
    me = over(line)
    empty = hashlib.sha256(b"").hexdigest()
    monkeypatch.setitem(globals(), "DATA", b"")
    monkeypatch.setitem(globals(), "SHA", empty)
    assert me.download("g", tmp_path)[0].read_bytes() == b""
    assert [each.name for each in tmp_path.iterdir()] == ["data.bin"]


def test_two_downloads_into_one_folder_do_not_mix(tmp_path):
    item = File.of({"name": "data.bin", "bytes": len(DATA), "sha256": SHA, "url": "u"})
    path = tmp_path / "data.bin"
    first, second = Part(item, path), Part(item, path)
    for at in range(0, len(DATA), 1000):
        first.write(DATA[at : at + 1000])
        second.write(DATA[at : at + 1000])
    for part in (second, first):
        part.finish()
        part.close()
        assert path.read_bytes() == DATA
    cut, other = Part(item, path), Part(item, path)
    cut.write(DATA[:10])
    other.write(DATA[:20])
    for part in (cut, other):
        part.close()
    assert [Part(item, path).size] == [10]
    assert len(list(tmp_path.iterdir())) == 2
