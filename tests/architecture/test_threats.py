"""The threat model names code and tests that exist, and what is taken out to try each test."""

import re
from pathlib import Path

from tests.support.threat_mutations import MUTATIONS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "exchange" / "oauth" / "THREATS.md"
ATTACKS = ROOT / "tests" / "attacks"
NAMED = re.compile(r"`([A-Za-z0-9_./]+\.py)` `(\w+)`")
KNOWN = {  # those that the project's notes on OAuth name
    *("2024-37568", "2025-59420", "2025-61920", "2025-68158", "2026-27124", "2026-27932"),
    *("2026-27962", "2026-28498", "2026-28802", "2026-40347", "2026-41425", "2026-42561"),
    *("2026-44681", "2026-48710"),
}


def rows():
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    threats = [line for line in lines if "| code |" not in line and not line.startswith("| CVE")]
    return [row.split(" | ")[-2:] for row in threats]


def is_there(path, name):
    return re.search(rf"^ *(async )?(def|class) {name}\b|^{name} =", path.read_text("utf-8"), re.M)


def test_every_threat_names_code_and_a_test_that_exist():
    assert len(rows()) >= 40
    for code, test in rows():
        for base, cell in ((PAGE.parent, code), (ROOT, test)):
            [(path, name)] = NAMED.findall(cell)
            assert is_there(base / path, name), (path, name)
        assert test.startswith("`tests/")


def test_of_every_threats_code_something_is_taken_out_to_try_its_test():
    """`python -m tests.campaigns.threats` does, one row after the other."""
    named = [(*NAMED.findall(code)[0], NAMED.findall(test)[0][1]) for code, test in rows()]
    assert sorted(named) == sorted((each.code, each.name, each.test) for each in MUTATIONS)


def test_every_known_fault_has_a_test_by_its_number_or_a_word_why_not():
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        if match := re.match(r"\| CVE-(\d{4}-\d+) \| .+ \| (.+) \|$", line):
            found[match[1]] = match[2]
    assert found.keys() >= KNOWN
    for number, cell in found.items():
        tests = NAMED.findall(cell)
        assert tests or cell.startswith("as CVE-"), number
        for path, name in tests:
            assert is_there(ATTACKS / path, name), (path, name)
        year, serial = number.split("-")
        numbered = [name for _, name in tests if f"{serial}" in name and year in name]
        assert numbered or cell.startswith("as CVE-") or number not in KNOWN, number
