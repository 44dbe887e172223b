"""The threat model names code and tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "exchange" / "oauth" / "THREATS.md"
NAMED = re.compile(r"`([A-Za-z0-9_./]+\.py)` `(\w+)`(?:, `(\w+)`)?")


def test_every_threat_names_code_and_a_test_that_exist():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    rows = [row for row in rows if "| code |" not in row]
    assert len(rows) >= 30
    for row in rows:
        code, test = row.split(" | ")[-2:]
        for base, cell in ((PAGE.parent, code), (ROOT, test)):
            found = NAMED.findall(cell)
            assert found, row
            for path, *names in found:
                text = (base / path).read_text("utf-8")
                for name in filter(None, names):
                    assert re.search(rf"(def|class) {name}\b|^{name} =", text, re.M), (path, name)


def test_every_row_names_a_test_of_the_tests_folder():
    tests = re.findall(r"`(tests/[a-z_/]+\.py)` `test_", PAGE.read_text("utf-8"))
    assert len(tests) >= 30
