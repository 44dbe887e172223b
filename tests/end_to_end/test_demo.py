"""`exchange demo`, and what people do by hand: each verb, each refusal, each broken folder."""

import json
import re
import shutil

import pytest
from typer.testing import CliRunner

from exchange.cli.main import app
from tests.support.commands import environment, exchange
from tests.support.english import english
from tests.support.server import ExchangeServer, free_port

FLOUR = {
    "kind": "dataset",
    "title_en": "Flour [bold]deliveries[/]",
    "title_zh": "面粉配送",
    "classification": "general",
    "personal_information": "none",
    "purposes": ["supply_chain_coordination"],
    "max_days": 60,
    "jurisdictions": ["CN"],
}
NAMES = ("platform", "sme", "auditor", "approver-one", "approver-two")


def profiles(folder):
    return {n: json.loads((folder / f"{n}.json").read_text()) for n in NAMES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def server(folder):
    with ExchangeServer(folder / "state") as running:
        yield running


@pytest.fixture(scope="module")
def env(server):
    return environment(port=server.port, state_dir=server.state)


@pytest.fixture(scope="module")
def played(folder, env):
    """What `exchange demo` said, against the server that runs."""
    done = exchange("demo", cwd=folder, env=env)
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture
def verb(folder, env, played):
    """Run a verb as one of the sample participants."""

    def run(*arguments, who="sme", code=0):
        variables = env | {"EXCHANGE_PROFILE": str(folder / "demo" / f"{who}.json")}
        done = CliRunner().invoke(app, [str(each) for each in arguments], env=variables)
        assert done.exit_code == code, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done.stdout if code == 0 else done.stderr

    return run


def test_demo_plays_the_path_on_the_exchange_that_runs(played, server):
    assert "19. The auditor verifies the receipts offline: the server is not asked." in played
    assert "58 of 58 receipts verified" in played
    assert "Starting the exchange" not in played
    assert server.process.poll() is None


def test_a_demo_folder_of_another_exchange_is_kept_aside(folder, env, played, tmp_path):
    """demo/ was kept, state/ was not: keys are never lost, and the path is played anew."""
    stale = tmp_path / "demo"
    shutil.copytree(folder / "demo", stale)
    for name, profile in profiles(stale).items():
        other = profile["log_key"].replace("exchange.invalid/log/", "exchange.invalid/gone/")
        (stale / f"{name}.json").write_text(json.dumps(profile | {"log_key": other}))
    before, grant = profiles(stale), (stale / "grant.tlog-proof").read_bytes()
    done = exchange("demo", "--folder", stale, cwd=tmp_path, env=env)
    assert done.returncode == 0, done
    assert f"{stale} belonged to another exchange: see {stale / 'earlier-1'}" in done.stdout
    assert profiles(stale / "earlier-1") == before
    assert (stale / "earlier-1" / "grant.tlog-proof").read_bytes() == grant
    assert len(list((stale / "earlier-1" / "receipts").iterdir())) == 57
    now = profiles(stale)
    assert all(now[n]["client_id"] != before[n]["client_id"] for n in NAMES)
    assert all(now[n]["key"] != before[n]["key"] for n in NAMES)
    again = exchange("demo", "--folder", stale, cwd=tmp_path, env=env)
    assert again.returncode == 0, again
    assert profiles(stale) == now
    assert not (stale / "earlier-2").exists()


def test_receipts_of_chosen_events(verb, tmp_path):
    grant = json.loads(verb("grant", "list", "--json"))[0]["id"]
    answer = json.loads(verb("grant", "show", grant, "--json"))
    assert "1 receipts in" in verb("log", "receipts", tmp_path, "--event", answer["event_id"])
    assert [path.name for path in tmp_path.iterdir()] == [f"{answer['event_id']}.tlog-proof"]


def test_a_deleted_demo_folder_is_made_anew(folder, env, played, tmp_path):
    """state/ was kept, demo/ was not: its keys are lost, so others are registered.

    It is played in Chinese, so that all of that is played once.
    """
    done = exchange("demo", "--lang", "zh", cwd=tmp_path, env=env)
    assert done.returncode == 0, done
    assert "（沿用已有）" not in done.stdout
    assert "19. 审计方离线验证凭证：不向服务器查询。" in done.stdout
    assert english(done.stdout) == []
    before, now = profiles(folder / "demo"), profiles(tmp_path / "demo")
    assert all(now[n]["organisation_id"] != before[n]["organisation_id"] for n in NAMES)
    assert all(now[n]["log_key"] == before[n]["log_key"] for n in NAMES)


def test_a_damaged_profile_is_never_thrown_away(folder, env, played, tmp_path):
    shutil.copytree(folder / "demo", tmp_path / "demo")
    (tmp_path / "demo" / "sme.json").write_text('{"url": "http://127.0.0.1')
    done = exchange("demo", cwd=tmp_path, env=env)
    assert done.returncode == 2, done
    assert "demo/sme.json is no profile (JSONDecodeError" in done.stderr
    assert "Restore it from a copy" in done.stderr
    assert (tmp_path / "demo" / "sme.json").read_text() == '{"url": "http://127.0.0.1'


def test_a_demo_folder_that_cannot_be_written(env, server, tmp_path):
    (tmp_path / "file").write_text("")
    done = exchange("demo", "--folder", "file/demo", cwd=tmp_path, env=env)
    assert done.returncode == 2, done
    assert "file/demo: Not a directory. Make room in file/demo or change its owner" in done.stderr
    assert "choose another --folder" in done.stderr


def test_a_full_disk_under_the_demo_folder(folder, env, played, tmp_path):
    """Every write to /dev/full fails as on a full disk."""
    shutil.copytree(folder / "demo", tmp_path / "demo")
    (tmp_path / "demo" / "terms.json").unlink()
    (tmp_path / "demo" / "terms.json").symlink_to("/dev/full")
    done = exchange("demo", cwd=tmp_path, env=env)
    assert done.returncode == 2, done
    assert "No space left on device. Make room in demo" in done.stderr


def test_the_operators_profile_is_elsewhere(server, env, tmp_path):
    other = env | {"EXCHANGE_STATE_DIR": str(tmp_path / "state")}
    done = exchange("demo", cwd=tmp_path, env=other)
    assert done.returncode == 2, done
    assert f"An exchange runs at {server.url}, but its operator's profile is not" in done.stderr
    assert "Set EXCHANGE_STATE_DIR to that exchange's state folder." in done.stderr


def test_tables_show_whole_ids_in_a_narrow_terminal(verb, folder, env):
    narrow = env | {"COLUMNS": "40", "EXCHANGE_PROFILE": "demo/sme.json"}
    listed = exchange("offering", "list", cwd=folder, env=narrow).stdout.splitlines()
    assert listed[0].split()[:3] == ["id", "kind", "title"]
    line = next(each for each in listed if "Flights from New York, 2013  " in each)
    assert re.match(r"off_[0-9a-z]{26}  dataset  ", line)
    assert line.endswith("logistics_planning, scientific_research")
    grants = verb("grant", "list").splitlines()
    assert re.match(r"grt_[0-9a-z]{4}_[0-9a-z]{26}  off_[0-9a-z]{26}  ", grants[1])
    entries = verb("log", "list", who="auditor").splitlines()
    assert [each.split()[0] for each in entries[:3]] == ["index", "0", "1"]
    assert len(entries) >= 21


def test_a_participant_makes_its_own_key(verb, folder, server, tmp_path):
    """The private key never leaves it: the operator gets the public half and answers with ids."""
    mine, key, operator = tmp_path / "mine.json", tmp_path / "key.json", server.state / "keys"
    made = verb("profile", "new", mine, "--url", server.url)
    assert "d" not in json.loads(made)["keys"][0]
    key.write_text(made)
    said = verb("offering", "list", "--profile", mine, code=2)
    assert "No exchange knows this profile yet." in said
    assert "a key is never overwritten" in verb("profile", "new", mine, code=2)

    names = ("--name-en", "Blue Mill", "--name-zh", "蓝磨", "--role", "platform", "--jwks", key)
    answer = verb("org", "add", *names, "--profile", operator / "operator.json")
    advice = answer.splitlines()[-1].replace("'", "").split()
    assert advice[:4] == ["exchange", "profile", "set", "--organisation"]
    wrong = ("--client", "cli_" + "0" * 26, "--profile", mine)
    assert "invalid_client" in verb(*advice[1:5], *wrong, code=1)
    assert json.loads(mine.read_text())["client_id"] == ""
    assert f"acts for {advice[4]} at {server.url}" in verb(*advice[1:], "--profile", mine)
    assert mine.stat().st_mode & 0o777 == 0o600
    known = json.loads(mine.read_text())
    assert known["key"]["d"]
    assert known["log_key"] == (folder / "demo" / "log.vkey").read_text().strip()

    terms, file = tmp_path / "terms.json", tmp_path / "flour.csv"
    terms.write_text(json.dumps(FLOUR))
    file.write_text("day,kilograms\n2026-01-01,1200\n")
    verb("offering", "publish", "--terms", terms, "--file", file, "--profile", mine)
    assert "Flour [bold]deliveries[/]" in verb("offering", "list")  # text, no markup


def test_refusals_end_with_1_and_say_why(verb, folder, tmp_path):
    names = ("--name-en", "X", "--name-zh", "X", "--role", "sme")
    said = verb("org", "add", *names, "--new-profile", tmp_path / "x.json", code=1)
    assert "403 role_missing" in said
    assert not (tmp_path / "x.json").exists()
    said = verb("request", "off_" + "0" * 26, "--purpose", "marketing", code=1)
    assert said.startswith("404 offering_unknown")
    offering = re.search(
        r"(off_\w+)  dataset  Flights from New York, 2013  ", verb("offering", "list")
    )[1]
    receipt = tmp_path / "new" / "refusal.tlog-proof"
    said = verb("request", offering, "--purpose", "marketing", "--receipt", receipt, code=1)
    assert said.startswith("403 access_denied")
    assert "purpose_not_allowed" in said
    assert "  → " in said
    key = folder / "demo" / "log.vkey"
    assert "decision.denied.v1" in verb("verify", receipt, "--log-key", key)


def test_a_revoked_grant_is_not_delivered_and_the_next_demo_copes(verb, folder, env):
    *calls, grant = re.findall(r"grt_\w+(?=.*active)", verb("grant", "list"))
    told = verb("grant", "download", calls[0], code=1)  # the newest: of a service
    assert f"exchange grant call {calls[0]}" in told
    downloads = folder / "mine"
    done = verb("grant", "download", grant, "--folder", downloads)
    assert re.search(r"flights\.parquet: 5,\d{3},\d{3} bytes, sha256 [0-9a-f]{64} ✓", done)
    assert re.search(r"^status +revoked$", verb("grant", "revoke", grant, who="platform"), re.M)
    (downloads / "flights.parquet").unlink()
    assert "grant" in verb("grant", "download", grant, "--folder", downloads, code=1)
    assert list(downloads.iterdir()) == []
    again = exchange("demo", cwd=folder, env=env)
    assert again.returncode == 0, again
    assert grant not in again.stdout.split("17. The auditor")[0]


def test_the_log_key_of_registration_is_not_exchanged_for_another(verb, folder):
    path = folder / "demo" / "auditor.json"
    kept = path.read_text()
    known = json.loads(kept)["log_key"]
    assert verb("log", "key", who="auditor").strip() == known
    other = re.sub(r"log/\w", "log/x", known)
    path.write_text(json.dumps(json.loads(kept) | {"log_key": other}))
    try:
        assert "An exchange's log key never changes" in verb("log", "key", who="auditor", code=1)
    finally:
        path.write_text(kept)


def test_a_developers_first_hour_at_the_sample_platform(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = re.findall("^off_[0-9a-z]+", verb("offering", "search", "--sandbox"), re.M)
    assert found  # one of each sample platform that was registered here
    told = verb("try", found[-1]).splitlines()[-1]
    assert told.startswith("→ exchange grant download grt_")
    verb(*told.split()[2:])
    rows = (tmp_path / "flights-sample.csv").read_text().splitlines()
    assert rows[0].startswith("year,month,day,dep_time")
    assert len(rows) == 1001


def test_no_proxy_is_asked_for_an_exchange_on_this_machine(verb, env, monkeypatch):
    monkeypatch.setitem(env, "HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setitem(env, "ALL_PROXY", "http://127.0.0.1:9")
    assert verb("grant", "list")


def test_it_starts_an_exchange_and_the_participants_move_with_it(server, folder, env, played):
    """The last test here, as the server stops: the kept state is served on another port."""
    server.stop()
    down = exchange("grant", "list", "-p", "demo/sme.json", cwd=folder, env=env)
    assert down.returncode == 2, down
    assert f"{server.url} does not answer (ConnectError). Is it running?" in down.stderr

    before = profiles(folder / "demo")
    moved = env | {"EXCHANGE_PORT": str(free_port())}
    done = exchange("demo", cwd=folder, env=moved)
    assert done.returncode == 0, done
    url = f"http://127.0.0.1:{moved['EXCHANGE_PORT']}"
    assert f"Starting the exchange on {url} …" in done.stdout
    assert "the server is stopped." in done.stdout
    after = profiles(folder / "demo")
    assert after == {name: profile | {"url": url} for name, profile in before.items()}
    operator = json.loads((server.state / "keys" / "operator.json").read_text())
    assert operator["url"] == url
    assert operator["key"]["d"]
