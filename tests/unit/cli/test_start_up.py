"""What keeps the exchange from starting is said in words, with what to do, and exit code 2."""

import json
import logging
import os
import shutil
import socket

import pytest
from typer.testing import CliRunner

from exchange.cli.main import app
from exchange.cli.start_up import read_settings
from exchange.ledger.keep import lock_file
from tests.support.commands import environment, exchange
from tests.support.infra import postgres_server
from tests.support.server import free_port

SECRET = "pass-phrase-of-the-database"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A state folder after `exchange init`."""
    state = tmp_path_factory.mktemp("made") / "state"
    done = exchange("init", cwd=state.parent, env=environment(state_dir=state))
    assert done.returncode == 0, done
    assert done.stdout == f"Ready. The operator's profile is {state}/keys/operator.json.\n"
    return state


@pytest.fixture
def state(made, tmp_path):
    return shutil.copytree(made, tmp_path / "state")


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Run a verb that cannot start; return what it says to do."""
    for name in [each for each in os.environ if each.startswith("EXCHANGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    handlers, level = list(logging.root.handlers), logging.root.level

    def run(verb="init", **settings):
        settings = {"state_dir": tmp_path / "state"} | settings
        env = {f"EXCHANGE_{name.upper()}": str(value) for name, value in settings.items()}
        done = CliRunner().invoke(app, [verb], env=env)
        assert isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == 2, done.output
        headline, _, advice = done.stderr.partition("\n")
        assert headline == "The exchange cannot start."
        assert SECRET not in done.output
        assert "Traceback" not in done.output
        return advice

    yield run
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.parametrize("verb", ["init", "serve", "run", "demo"])
def test_a_wrong_setting_is_named_with_its_value(start, verb):
    said = start(verb, port="eighty", workers=0, policy_engine="oracle", database_url=SECRET)
    lines = said.splitlines()
    assert [line.split()[0] for line in lines] == [
        "EXCHANGE_PORT",
        "EXCHANGE_WORKERS",
        "EXCHANGE_POLICY_ENGINE",
    ]
    assert lines[0].startswith("EXCHANGE_PORT is 'eighty': Input should be a valid integer")
    assert lines[1] == "EXCHANGE_WORKERS is '0': Input should be greater than or equal to 1."
    assert "'embedded' or 'server'" in lines[2]


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        f"postgresql://user:{SECRET}@127.0.0.1:port/name",
        f"postgresql://user:/{SECRET}@127.0.0.1:1/name",
        f"postgresql://user:x@{SECRET}@127.0.0.1:1/name",
        f"postgresql://user:x#{SECRET}@127.0.0.1:1/name",
        f"postgresql://user:x {SECRET}@127.0.0.1:1/name",
        f"postgresql://user:x@127.0.0.1:1/name@{SECRET}",
    ],
)
def test_a_database_url_that_cannot_be_read_is_not_shown(start, url):
    said = start(database_url=url)
    assert said.startswith("EXCHANGE_DATABASE_URL cannot be read (it is not shown")
    assert "postgresql://user:password@host:5432/name" in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host",
        "postgresql://user@/name?host=/run/postgresql",
        "postgresql://us%40er:p%40ss%2F@host.example:5432/name?sslmode=verify-full",
        "postgresql+psycopg://user:p!$&'()*+,;=-._~@[::1]:5432/na-me",
        "postgres://user:@10.0.0.1/name",
        "sqlite:////a path/with@signs.sqlite3",
    ],
)
def test_database_urls_that_can_be_read(url, monkeypatch):
    monkeypatch.setenv("EXCHANGE_DATABASE_URL", url)
    assert read_settings().database.endswith(url.partition("://")[2])


def test_other_databases_are_refused(start):
    said = start(database_url=f"mysql://user:{SECRET}@127.0.0.1/name")
    assert said.startswith("EXCHANGE_DATABASE_URL names mysql: use postgresql://")
    said = start(database_url=f"postgresql+nothing://user:{SECRET}@127.0.0.1/name")
    assert "EXCHANGE_DATABASE_URL right?" in said


@pytest.mark.parametrize("verb", ["serve", "run"])
def test_a_port_that_is_taken(start, verb):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = start(verb, port=port)
    assert said.startswith(f"Port {port} on 127.0.0.1 is taken: another program listens there")
    assert f"EXCHANGE_PORT={port % 65535 + 1} make run" in said


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine(start, host):
    said = start("serve", host=host)
    assert said.startswith(f"Port 8000 on {host} cannot be listened on (")
    assert "EXCHANGE_HOST must be an address of this machine" in said


@pytest.mark.parametrize("verb", ["init", "serve", "run"])
def test_a_state_folder_that_cannot_be_written(start, verb, tmp_path):
    (tmp_path / "file").write_text("")
    said = start(verb, state_dir="file/state", port=free_port())
    assert "No permission to write" in said
    assert "file/state (Not a directory)" in said
    assert "Choose another folder with EXCHANGE_STATE_DIR, or change its owner." in said


def test_several_workers_need_postgresql(start):
    said = start(workers=2)
    assert "SQLite serves one process. For EXCHANGE_WORKERS above 1 set" in said
    assert "EXCHANGE_DATABASE_URL to a PostgreSQL database" in said


def test_a_second_exchange_on_the_same_state(start, state):
    lock = lock_file(state / "database" / "exchange.lock")
    try:
        said = start("serve", port=free_port())
    finally:
        lock.close()
    assert said.startswith(f"Another exchange already runs on {state / 'database'}.")
    assert "choose another EXCHANGE_STATE_DIR" in said


def test_a_postgresql_that_does_not_answer(start):
    port = free_port()
    said = start(database_url=f"postgresql://user:{SECRET}@127.0.0.1:{port}/name")
    assert said.startswith(f"The database name on 127.0.0.1:{port} cannot be used: ")
    assert "refused" in said
    assert "Is it running, does it know this user, and is EXCHANGE_DATABASE_URL right?" in said


@pytest.mark.postgres
def test_a_postgresql_without_this_database(start):
    url = postgres_server().create_database("exchange")
    wrong = url.rpartition("/")[0] + "/" + "nowhere"
    said = start(database_url=wrong.replace("postgresql+psycopg", "postgresql"))
    assert 'database "nowhere" does not exist' in said


def test_a_database_that_is_damaged(start, state):
    file = state / "database" / "exchange.sqlite3"
    for path in file.parent.glob("*-*"):
        path.unlink()
    file.write_bytes(b"no database " * 1000)
    said = start()
    assert said.startswith(f"The database {file} cannot be used (file is not a database).")
    assert "restore a damaged one from a copy" in said


def test_the_operators_key_is_lost_or_broken(start, state):
    operator = state / "keys" / "operator.json"
    operator.write_text("{")
    assert "operator.json is no profile" in start()
    operator.unlink()
    said = start()
    assert f"the operator's key is missing ({operator}). Restore it from your backup" in said


def test_policies_that_are_not_there(start, tmp_path):
    said = start(policy_dir=tmp_path)
    assert "set EXCHANGE_POLICY_DIR or run `make policies`" in said


def test_run_tells_what_its_server_said_once(state, tmp_path):
    """The child's headline and log lines are left out: the same words as from `serve`."""
    (state / "keys" / "operator.json").unlink()
    env = environment(state_dir=state, port=free_port())
    done = exchange("run", cwd=tmp_path, env=env)
    assert done.returncode == 2, done
    headline, advice = done.stderr.splitlines()
    assert headline == "The exchange cannot start."
    assert advice.startswith("There are participants, but the operator's key is missing")
    assert '"listening' not in done.stdout


def test_the_operators_profile_follows_the_exchange_to_another_address(state, tmp_path):
    path = state / "keys" / "operator.json"
    before = json.loads(path.read_text())
    env = environment(state_dir=state, issuer="https://exchange.example/")
    assert exchange("init", cwd=tmp_path, env=env).returncode == 0
    after = json.loads(path.read_text())
    assert after["url"] == "https://exchange.example"
    assert {**after, "url": before["url"], "log_key": ""} == before | {"log_key": ""}
    assert path.stat().st_mode & 0o777 == 0o600
