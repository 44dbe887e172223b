"""The Rego: readable, tested, within its profile; the committed build is what it gives."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.opa import ROOT, absent, require_opa
from tests.support.policy_codes import RULES, SOURCES

POLICIES = ROOT / "policies"
TABLE = ROOT.parent / "shared" / "notes" / "sme_thresholds.json"
FIGURES = {"employees": "headcount", "revenue": "revenue_cny_10k", "assets": "assets_cny_10k"}


def run_build(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "build.py"), *arguments], capture_output=True, text=True
    )


@pytest.mark.opa
def test_the_committed_build_is_what_the_source_gives() -> None:
    """Runs check --strict, fmt, test with 100% coverage and the compiler, and compares."""
    require_opa()
    done = run_build(POLICIES, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of policies/ beside OPA, to be spoilt."""
    tools = tmp_path / ".tools" / "bin"
    tools.mkdir(parents=True)
    (tools / "opa").symlink_to(require_opa())
    return Path(shutil.copytree(POLICIES, tmp_path / "policies"))


SPOILT = {
    "a number in a rule": ("exchange/size/size.rego", "< 4", "< 5", "opa test"),
    "a bound in the data": (
        "data/thresholds.json",
        "[1000, 300, 20]",
        "[1001, 300, 20]",
        "opa test",
    ),
    "a comment": (
        "exchange/size/size.rego",
        "package exchange\n",
        "package exchange\n\n# x\n",
        "not what the source gives",
    ),
    "an id's length": ("schema/input.json", "{1,60}", "{1,61}", "not what the source gives"),
    "format": ("exchange/size/size.rego", "\t", "  ", "opa fmt"),
    "a builtin with effects": (
        "exchange/size/size.rego",
        "size_allowed if not size_matters",
        'size_allowed if http.send({"method": "get", "url": "http://x"})',
        "opa check",
    ),
    "a name that the schema lacks": (
        "exchange/size/size.rego",
        "input.offering.sizes\n",
        "input.offering.seizes\n",
        "opa check",
    ),
    "a rule that nothing tests": (
        "exchange/purpose/purpose.rego",
        "purpose_allowed if",
        'purpose_allowed if input.request.purpose == "never tested"\n\npurpose_allowed if',
        "not covered",
    ),
}


@pytest.mark.opa
@pytest.mark.parametrize("what", SPOILT)
def test_check_notices(copied: Path, what: str) -> None:
    name, old, new, message = SPOILT[what]
    path = copied / name
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new, 1))
    done = run_build(copied, "--check")
    assert done.returncode != 0, done.stdout
    assert message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.opa
def test_check_notices_a_changed_build(copied: Path) -> None:
    module = copied / "build" / "policy.wasm"
    module.write_bytes(module.read_bytes()[:-1] + b"\0")
    done = run_build(copied, "--check")
    assert done.returncode != 0
    assert "policy.wasm" in done.stderr


@pytest.mark.opa
def test_building_twice_gives_the_same_bytes(copied: Path) -> None:
    before = {path.name: path.read_bytes() for path in (copied / "build").iterdir()}
    shutil.rmtree(copied / "build")
    done = run_build(copied)
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_bytes() for path in (copied / "build").iterdir()}
    made.pop("bundle.tar.gz"), before.pop("bundle.tar.gz")  # compressed by this machine's zlib
    assert made == before


def test_a_missing_opa_is_said_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copytree(POLICIES, tmp_path / "policies"))
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run_build(copy)
    assert done.returncode != 0
    assert "make infra" in done.stderr
    assert "Traceback" not in done.stderr


def test_data_is_the_table_of_the_regulation() -> None:
    if not TABLE.is_file():
        absent("the size classes' table is not beside the repository (../shared/notes)")
    table = json.loads(TABLE.read_text())
    ours = json.loads((POLICIES / "data" / "thresholds.json").read_text())["thresholds"]
    expected = {
        industry: {FIGURES[name]: tiers for name, tiers in bounds.items()}
        for industry, bounds in table["industries"].items()
    }
    assert ours["industries"] == expected
    assert ours["source"] == table["source"]
    assert ours["tiers"] == ["large", "medium", "small", "micro"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_rule_is_described_and_has_its_tests_beside_it(path: Path) -> None:
    source = path.read_text()
    assert path.with_name(f"{path.stem}_test.rego").is_file()
    assert len(source.splitlines()) <= 120
    findings = len(re.findall(r"^(?:deny|approvals_required) contains ", source, re.MULTILINE))
    titles = re.findall(r"^# title: (.+)$", source, re.MULTILINE)
    assert len(titles) >= max(findings, 1)
    assert len(re.findall(r"^# description: ", source, re.MULTILINE)) == len(titles)
    named = re.compile("Law|Regulation|GB/T|CAC Order|Action Plan")
    for block in re.findall(r"# METADATA\n((?:#.*\n)+)", source):
        if named.search(block):
            assert "heck against the" in re.sub(r"\n#\s+", " ", block), block


def test_only_harmless_native_builtins() -> None:
    capabilities = json.loads((POLICIES / "capabilities.json").read_text())
    names = {builtin["name"] for builtin in capabilities["builtins"]}
    families = "http|time|net|regex|glob|io|crypto|opa|rego|units|uuid|strings.replace_n|replace"
    banned = re.compile(rf"(?:{families}|sprintf|rand|trace|print|internal.print)(?:\.|$)")
    assert not [name for name in names if banned.match(name)]
    assert 50 <= len(names) <= 98
    assert capabilities["allow_net"] == []


def test_purposes_are_unique_sorted_codes() -> None:
    purposes = json.loads((POLICIES / "data" / "purposes.json").read_text())["purposes"]
    assert purposes == sorted(set(purposes))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,63}", purpose) for purpose in purposes)


def test_rules_stand_in_folders() -> None:
    folders = {path.parent.name for path in SOURCES}
    assert folders == {path.name for path in RULES.iterdir() if path.is_dir()}
