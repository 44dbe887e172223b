"""Who may import whom: import-linter's contracts (pyproject.toml), and what they cannot say."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.sources import ROOT, imports, name, python, tree

# One import for each contract that it forbids, and the file to put it in.
BREACHES = {
    "An import never points left": ("exchange/ledger/admit.py", "exchange.access.model"),
    "The formats are pure": ("exchange/formats/text.py", "socket"),
    "Models are pure": ("exchange/catalog/model.py", "sqlalchemy"),
    "Connectors import the exchange's formats": ("connectors/paths.py", "exchange.errors"),
    "The way outward stands alone": ("exchange/outward/allow.py", "exchange.errors"),
    "Rooms know nothing of connectors": ("exchange/access/model.py", "connectors.paths"),
    "The command speaks HTTP": ("exchange/cli/output.py", "exchange.catalog.model"),
    "Clients and auditors need the formats": ("exchange/client/profile.py", "exchange.http"),
    "Pages call verbs, never tables": ("exchange/portal/home.py", "exchange.catalog.tables"),
    "FastAPI": ("exchange/guard.py", "fastapi"),
    "SQLModel": ("exchange/catalog/model.py", "sqlmodel"),
    "Authlib": ("exchange/access/model.py", "authlib.jose"),
    "OPA's client and its Wasm host": ("exchange/access/model.py", "wasmtime"),
    "minio and its HTTP": ("connectors/s3.py", "minio"),
}


def lint(folder: Path) -> tuple[int, dict[str, str]]:
    """Run import-linter in a folder: its exit code, and the verdict of each contract."""
    script = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", script, "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    verdicts = dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE))
    assert verdicts, done.stdout + done.stderr
    return done.returncode, verdicts


def test_every_contract_is_kept():
    code, verdicts = lint(ROOT)
    assert [contract for contract, verdict in verdicts.items() if verdict != "KEPT"] == []
    assert code == 0


def test_every_contract_can_be_broken(tmp_path: Path):
    """A contract that no import breaks guards nothing."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in ("exchange", "connectors"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.pyc"))
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = [each["name"] for each in contracts["tool"]["importlinter"]["contracts"]]
    assert len(names) == len(BREACHES)
    for start, (file, imported) in BREACHES.items():
        assert sum(each.startswith(start) for each in names) == 1, start
        with (tmp_path / file).open("a", encoding="utf-8") as source:
            source.write(f"\nimport {imported}\n")
    code, verdicts = lint(tmp_path)
    assert [contract for contract, verdict in verdicts.items() if verdict != "BROKEN"] == []
    assert code == 1


def test_sqlalchemy_core_and_never_its_orm():
    """Verbs write Core statements (the ORM's inserts were the bottleneck of a prototype); sessions
    with rows that change under one's hands would also get round the ledger, the only writer.
    """
    for path in python("exchange/", "connectors/"):
        orm = [n for n in imports(path) if n.startswith(("sqlalchemy.orm", "sqlmodel.Session"))]
        assert not orm, name(path)


def is_api(path: Path) -> bool:
    """Routes stand in a room's api.py, or in its folder api/."""
    return path.name == "api.py" or path.parent.name == "api"


def test_routes_hold_no_sql():
    """A route parses, calls one verb and answers. Contracts speak of modules, not of wildcards in
    packages of others, and `sqlalchemy` is allowed in verbs beside the routes.
    """
    for path in [p for p in python("exchange/", "connectors/") if is_api(p)]:
        assert not [n for n in imports(path) if n.startswith(("sqlalchemy", "sqlmodel"))], name(
            path
        )


@pytest.mark.parametrize(
    "room",
    [
        *("oauth", "webhooks", "access", "catalog", "connections"),
        *("participants", "policy", "ledger"),
    ],
)
def test_a_room_has_no_web_framework_but_in_its_routes(room: str):
    """import-linter lets `api` alone import FastAPI; Starlette, below it, is the same door."""
    for path in python(f"exchange/{room}/"):
        web = [n for n in imports(path) if n.startswith(("starlette", "fastapi", "uvicorn"))]
        assert not web or is_api(path), name(path)


def test_only_clocks_read_the_clock():
    """A second reading in the middle of a decision would be a second time. Clients have clocks of
    their own.
    """
    allowed = ("exchange/clock.py", "exchange/cli/", "exchange/client/")
    wall = {"time", "time_ns", "now", "utcnow", "today"}
    for path in python("exchange/"):
        if name(path).startswith(allowed):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in wall:
                owner = ast.unparse(node.value)
                assert owner not in ("time", "datetime", "date", "datetime.datetime"), (
                    f"{name(path)}:{node.lineno}"
                )


def test_no_url_is_taken_from_a_request():
    """Issuer, audience and every link come from settings: a Host header is the client's word."""
    for path in python("exchange/", "connectors/"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in ("base_url", "url_for", "url"):
                assert ast.unparse(node.value) not in ("request", "self.request"), (
                    f"{name(path)}:{node.lineno}"
                )
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value.lower() not in ("x-forwarded-host", "forwarded", "host:"), (
                    f"{name(path)}:{node.lineno}"
                )
