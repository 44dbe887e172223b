"""Rules of the house that a reader would forget and a program can check."""

import ast
import json
import re

import pytest

from exchange.settings import Settings
from tests.support.sources import ROOT, files, name, pages, python, tree

LONGEST = 350
SCHEMAS = ROOT / "exchange" / "ledger" / "schemas"
KIND = re.compile(r"[a-z_]+\.[a-z_]+\.v[0-9]+")
# Written in pieces, so that this file does not name what it forbids.
HOSTS = (
    "py" + "pi.org",
    "python" + "hosted",
    "npm" + "js",
    "proxy" + ".golang",
    "repo." + "maven",
    "deb." + "debian",
    "unp" + "kg",
    "jsd" + "elivr",
)
PLACES = re.compile(r"(?<![\w.])/" + r"(?:wo" + r"rk|home/\w+|ro" + r"ot|Us" + r"ers)/[a-z]")
TEXT = (".py", ".rego", ".html", ".md", ".toml", ".json", ".po", ".yaml", ".yml", ".sh", ".css", "")


def test_no_file_is_long():
    """A long file has two subjects."""
    counted = [p for p in files() if p.suffix in (".py", ".rego", ".html", ".md", ".css", ".sql")]
    assert len(counted) > 100
    lines = {name(p): len(p.read_text("utf-8").splitlines()) for p in counted}
    assert {n: count for n, count in lines.items() if count > LONGEST} == {}


@pytest.mark.parametrize("folder", ["exchange/", "connectors/", "infra/", "policies/", "tests/"])
def test_every_module_says_what_it_is_in_its_first_line(folder: str):
    modules = python(folder)
    assert modules
    for path in modules:
        told = ast.get_docstring(tree(path)) or ""
        assert told.strip() or not path.read_text("utf-8").strip(), name(path)


def test_every_setting_stands_in_the_operators_table():
    page = (ROOT / "docs" / "operators.md").read_text("utf-8")
    table = page.partition("## Settings")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    named = {setting for row in rows for setting in re.findall(r"EXCHANGE_[A-Z_]+", row[1])}
    assert named == {f"EXCHANGE_{field.upper()}" for field in Settings.model_fields}


def test_pages_name_no_setting_that_is_not_there():
    told = "\n".join(page.read_text("utf-8") for page in pages())
    named = set(re.findall(r"EXCHANGE_[A-Z_]+", told))
    settings = {f"EXCHANGE_{field.upper()}" for field in Settings.model_fields}
    of_the_command = {
        constant.value
        for path in python("exchange/cli/")
        for constant in ast.walk(tree(path))
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    for_its_test = {"EXCHANGE_URL"}  # where the test of its snippets put the server
    assert named - settings - of_the_command == for_its_test & named


def emitted() -> list[re.Pattern[str]]:
    """What the source calls its events: literals, and f-strings with their holes as wildcards."""
    found: list[str] = []
    for path in python("exchange/"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    re.escape(str(each.value)) if isinstance(each, ast.Constant) else "[a-z_]+"
                    for each in node.values
                ]
                if re.search(r"\\\.v[0-9]+$", "".join(parts)):
                    found.append("".join(parts))
            elif isinstance(node, ast.Constant) and KIND.fullmatch(str(node.value)):
                found.append(re.escape(str(node.value)))
    return [re.compile(pattern) for pattern in found]


FORMER = {"grant.revoked.v1"}  # of entries that are in logs already


def test_every_event_has_its_schema_and_every_schema_its_event():
    kinds = {path.stem for path in SCHEMAS.glob("*.json")}
    patterns = emitted()
    assert len(patterns) >= 10
    assert [p.pattern for p in patterns if not any(p.fullmatch(kind) for kind in kinds)] == []
    assert {kind for kind in kinds if not any(p.fullmatch(kind) for p in patterns)} == FORMER


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_a_schema_is_closed_and_named(path):
    """An entry never changes, so a schema that lets anything in could never be tightened."""
    schema = json.loads(path.read_text("utf-8"))
    assert schema["$id"] == f"urn:exchange:schema:{path.stem}"
    assert schema["description"]

    def closed(node: object, where: str) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object" and "properties" in node:
                assert node.get("additionalProperties") is False, where
                assert node.get("required"), where
            for key, value in node.items():
                closed(value, f"{where}/{key}")
        elif isinstance(node, list):
            for value in node:
                closed(value, where)

    closed(schema, path.stem)


def test_nothing_names_a_package_registry_or_a_place_on_somebodys_machine():
    for path in files():
        if path.suffix not in TEXT:
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            assert not [host for host in HOSTS if host in line], f"{name(path)}:{number}"
            assert not PLACES.search(line), f"{name(path)}:{number}: {line.strip()[:80]}"
