"""Files arrive whole and as published, or not at all."""

import hashlib
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest

from exchange.cli.transfer import download, upload
from exchange.client.errors import NotAsPublished, NotReachable
from exchange.client.profile import new_profile
from exchange.client.session import Refusal, Session
from tests.support.taking import Taking, fault

DATA = b"0123456789" * 5000
URL = "https://exchange.example"


class Gateway(httpx.SyncByteStream):
    """An exchange that delivers `pieces` under a name, as if they were `DATA`."""

    def __init__(self, *pieces, name="data.bin", status=200):
        self.pieces, self.name, self.status = pieces, name, status
        self.asked = []

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def __call__(self, request):
        self.asked.append(request)
        if request.url.path == "/oauth/token":
            return httpx.Response(
                200, json={"access_token": "t", "expires_in": 300, "token_type": "Bearer"}
            )
        if request.url.path.startswith("/gateway/grants/g/files/"):
            if self.status != 200:
                return httpx.Response(self.status, json={"detail": "It was revoked."})
            return httpx.Response(200, stream=self)
        listed = {
            "name": self.name,
            "bytes": len(DATA),
            "sha256": hashlib.sha256(DATA).hexdigest(),
            "url": f"{URL}/gateway/grants/g/files/{self.name}",
        }
        return httpx.Response(200, json={"objects": [listed]})


@contextmanager
def at(gateway):
    me = Session(replace(new_profile(URL), client_id="cli_1"))
    me.http.close()
    me.http = httpx.Client(transport=httpx.MockTransport(gateway), base_url=URL)
    me.sleep = lambda _seconds: None
    yield me
    me.close()


def test_a_file_arrives_under_its_name(tmp_path, capsys):
    gateway = Gateway(DATA[:10], DATA[10:])
    with at(gateway) as me:
        [(path, item)] = download(me, "g", tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "data.bin"
    assert path.read_bytes() == DATA
    assert item["bytes"] == len(DATA)
    assert [each.name for each in path.parent.iterdir()] == ["data.bin"]
    assert gateway.asked[-1].headers["accept-encoding"] == "identity"
    said = capsys.readouterr()
    assert said.out == ""
    assert "data.bin" in said.err  # the progress bar


@pytest.mark.parametrize(
    ("gateway", "error"),
    [
        (Gateway(DATA, b"x"), NotAsPublished),
        (Gateway(DATA[:-1] + b"x"), NotAsPublished),
        (Gateway(DATA, status=403), Refusal),
    ],
)
def test_nothing_is_kept_of_a_file_that_is_not_as_published(gateway, error, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"of yesterday")
    with pytest.raises(error), at(gateway) as me:
        download(me, "g", tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == b"of yesterday"
    assert [each.name for each in tmp_path.iterdir()] == ["data.bin"]


@pytest.mark.parametrize(
    ("gateway", "error"),
    [
        (Gateway(DATA[:-1]), NotAsPublished),
        (Gateway(DATA[:10], httpx.ReadError("cut")), NotReachable),
        (Gateway(DATA[:10], KeyboardInterrupt()), KeyboardInterrupt),
        (Gateway(DATA[:10], OSError(28, "No space left on device")), OSError),
    ],
)
def test_of_a_file_that_was_cut_what_is_here_stays_for_another_attempt(
    gateway, error, tmp_path, capsys
):
    (tmp_path / "data.bin").write_bytes(b"of yesterday")
    with pytest.raises(error), at(gateway) as me:
        download(me, "g", tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == b"of yesterday"
    [part] = tmp_path.glob("*.part")
    assert part.name == f"data.bin.{hashlib.sha256(DATA).hexdigest()[:16]}.part"
    assert DATA.startswith(part.read_bytes())
    goes_on = "the same command goes on from there" in capsys.readouterr().err
    assert goes_on == (error in (NotReachable, KeyboardInterrupt))
    with at(Gateway(DATA)) as me:
        download(me, "g", tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == DATA
    assert [each.name for each in tmp_path.iterdir()] == ["data.bin"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//x", ".", "", "a\\x", "a\0x"])
def test_no_name_leads_out_of_the_folder(name, tmp_path):
    folder = tmp_path / "mine"
    with (
        pytest.raises(NotAsPublished, match="leads out of the folder"),
        at(Gateway(name=name)) as me,
    ):
        download(me, "g", folder)
    assert [each.name for each in tmp_path.rglob("*")] == ["mine"]


def test_no_link_leads_out_of_the_folder(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path)
    with pytest.raises(NotAsPublished), at(Gateway(DATA, name="a/x")) as me:
        download(me, "g", folder)
    assert not (tmp_path / "x").exists()


def test_folders_of_a_dataset_are_kept(tmp_path):
    with at(Gateway(DATA, name="year=2013/part-0.bin")) as me:
        download(me, "g", tmp_path)
    assert (tmp_path / "year=2013" / "part-0.bin").read_bytes() == DATA


def test_an_upload_is_told_of_and_compared(tmp_path, capsys):
    (tmp_path / "a.bin").write_bytes(DATA)
    exchange = Taking()
    with at(exchange) as me:
        stored = upload(me, tmp_path / "a.bin", "b/a.bin", "con_1")
    assert exchange.stored == {"b/a.bin": DATA}
    assert stored["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert "upload b/a.bin" in capsys.readouterr().err
    exchange.spoil = lambda data: data + b"x"
    with pytest.raises(NotAsPublished, match="stored other bytes"), at(exchange) as me:
        upload(me, tmp_path / "a.bin", "a.bin")


def test_a_stopped_upload_says_that_it_goes_on(tmp_path, capsys):
    (tmp_path / "a.bin").write_bytes(DATA)
    exchange = Taking()
    exchange.faults = [fault(KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt), at(exchange) as me:
        upload(me, tmp_path / "a.bin", "a.bin")
    assert "the same command goes on from there" in capsys.readouterr().err
    assert list(exchange.uploads)
