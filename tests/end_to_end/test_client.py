"""The client library against a real exchange, by both drivers, and installed with nothing else."""

import re
import shutil
import subprocess
import sys
import venv
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import pytest

from exchange.cli.participants import register
from exchange.cli.world import ORGANISATIONS
from exchange.client import (
    ClientError,
    NotProved,
    ProfileProblem,
    Refused,
    Undecided,
)
from exchange.client.profile import jwks_of, new_profile, read_profile
from exchange.client.session import Session
from tests.support.either import MODES, Either
from tests.support.server import ROOT, ExchangeServer

TERMS = {
    "kind": "dataset",
    "classification": "general",
    "personal_information": "none",
    "purposes": ["logistics_planning"],
    "max_days": 60,
    "jurisdictions": ["CN"],
}
APPROVED = TERMS | {
    "approval": "provider",
    "approvers": 2,
    "terms_en": "Keep it.",
    "form": [{"name": "use", "label_en": "What for?", "label_zh": "用途？", "required": True}],
}
ROWS = "day,kilograms\n2026-01-01,1200\n2026-01-02,1340\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A running exchange, and profiles: platform, sme, and two approvers who are people."""
    folder = tmp_path_factory.mktemp("client")
    with ExchangeServer(folder / "state") as server:
        operator = Session(read_profile(server.state / "keys" / "operator.json"))
        made = {}
        for name in ("platform", "sme"):
            made[name] = register(operator, ORGANISATIONS[name], folder / f"{name}.json")
        for name in ("lin", "zhou"):
            body = {"name": name, "roles": ["approver"]}
            path = f"/v1/organisations/{made['platform'].organisation_id}/members"
            invitation = operator.post(path, body)["invitation"]
            fresh = new_profile(server.url)
            body = {"invitation": invitation, "jwks": jwks_of(fresh), "name": "laptop"}
            joined = operator.post_openly("/v1/invitations/accept", body)["client"]
            made[name] = replace(
                fresh, client_id=joined["id"], organisation_id=joined["organisation_id"]
            )
        operator.close()
        yield folder, made


@pytest.mark.parametrize("mode", MODES)
def test_a_requests_whole_life(place, mode, tmp_path):
    _, profiles = place
    names = ("platform", "sme", "lin", "zhou")
    platform, sme, lin, zhou = everybody = [Either(mode, profiles[name]) for name in names]
    try:
        file = tmp_path / f"{mode}.csv"
        file.write_text(ROWS)
        titles = {"title_en": f"Flour {mode}", "title_zh": "面粉"}
        told = []
        offering = platform.publish(
            APPROVED | titles, file, progress=lambda *each: told.append(each)
        )
        assert told[0] == (file.name, 0, len(ROWS))
        assert told[-1] == (file.name, len(ROWS), len(ROWS))
        [found] = [each for each in sme.search(f"Flour {mode}") if each.id == offering.id]
        assert found == offering or found.raw["source"] is None
        assert sme.explain(found, purpose="logistics_planning").outcome == "needs_approval"
        with pytest.raises(Refused) as refused:
            sme.request(found, purpose="credit_assessment", form={"use": "x"}, accept_terms=True)
        assert "choose_purpose" in [each["code"] for each in refused.value.request["remedies"]]
        with pytest.raises(Refused) as refused:
            sme.request(found, purpose="logistics_planning", accept_terms=True)
        assert refused.value.code == "form_invalid"

        asked = sme.request(
            found, purpose="logistics_planning", days=10, form={"use": "bread"}, accept_terms=True
        )
        assert (asked.waiting.whose, asked.waiting.approvers) == ("provider", 2)
        with pytest.raises(Undecided):
            sme.wait(asked, timeout=0)
        assert asked.id in [each.id for each in lin.inbox()]
        lin.ask_back(asked, "Which?")
        assert sme.wait(asked, timeout=20).waiting.whose == "consumer"
        sme.answer(asked, "This one.", form={"use": "rolls"})
        sme.comment(asked, "Thank you.")
        with pytest.raises(Refused):
            platform.approve(asked)  # a program is no person
        with pytest.raises(Refused) as refused:
            lin.approve(asked)  # as it was before the answer
        assert refused.value.code == "form_changed"
        read = lin.request_by_id(asked)
        lin.approve(read)
        assert not sme.request_by_id(asked).is_decided
        zhou.approve(read, "Gladly.")
        done = sme.wait(asked, timeout=20)
        assert done.is_permitted
        assert done.grant.terms_digest == offering.terms_digest
        kinds = [each.kind for each in sme.steps(asked)]
        assert kinds.count("approved") == 2
        assert {"questioned", "answered", "commented"} <= set(kinds)

        platform.withdraw_offering(offering)
        for name in ("arrow", "pyarrow"):
            table = sme.read(done.grant, as_=name)
            assert table.to_pydict()["kilograms"] == [1200, 1340]
        assert list(sme.read(done.grant)["kilograms"]) == [1200, 1340]
        assert sme.read(done.grant, file.name, as_="duckdb").sum("kilograms").fetchall() == [
            (2540,)
        ]
        with pytest.raises(ClientError, match="delivers no file nothing"):
            sme.read(done.grant, "nothing")
        [path] = sme.download(done.grant, tmp_path / "here")
        assert path.read_text() == ROWS
        assert done.grant.id in [each.id for each in sme.grants(status="active")]

        proofs = sme.receipts(done, done.grant, folder=tmp_path / "receipts")
        assert "grant.activated.v1" in [each.kind for each in proofs]
        assert all(each.path.exists() for each in proofs)
        assert len(sme.receipts()) >= 2
        other = re.sub(r"log/\w", "log/x", profiles["sme"].log_key)
        if other != profiles["sme"].log_key:
            doubtful = Either(mode, replace(profiles["sme"], log_key=other))
            everybody.append(doubtful)
            with pytest.raises((NotProved, ProfileProblem)):
                doubtful.receipts(done)
    finally:
        for each in everybody:
            each.shut()


@pytest.mark.parametrize("mode", MODES)
def test_a_rejection_an_appeal_and_a_request_taken_back(place, mode, tmp_path):
    _, profiles = place
    platform, sme, lin = everybody = [
        Either(mode, profiles[name]) for name in ("platform", "sme", "lin")
    ]
    try:
        file = tmp_path / f"again-{mode}.csv"
        file.write_text(ROWS)
        titles = {"title_en": f"Rye {mode}", "title_zh": "黑麦"}
        offering = platform.publish(APPROVED | titles, str(file))
        ask = {"purpose": "logistics_planning", "form": {"use": "bread"}, "accept_terms": True}
        first = sme.request(offering, **ask)
        assert lin.reject(first, "Not now.").status == "rejected"
        assert sme.wait(first).is_permitted is False
        assert sme.appeal(first, "Please.").waiting.whose == "provider"
        assert sme.withdraw(first).status == "withdrawn"
        easy = platform.publish(TERMS | titles | {"title_en": f"Oats {mode}"}, file)
        grant = sme.request(easy, purpose="logistics_planning", days=5).grant
        renewed = sme.renew(grant, days=30)
        assert renewed.grant.id == grant.id
        assert renewed.grant.ends_at > grant.ends_at
    finally:
        for each in everybody:
            each.shut()


ALONE = """
import importlib.util, sys
from exchange.client import AsyncExchange, Exchange, MissingExtra
with Exchange.open(sys.argv[1]) as me:
    print([each.title_en for each in me.search()])
    [grant, *_] = me.grants(status="active")
    print([path.name for path in me.download(grant, sys.argv[2])], len(me.receipts(grant)))
    try:
        me.read(grant)
    except MissingExtra as error:
        print(error)
for name in ("fastapi", "pydantic", "sqlalchemy", "sqlmodel", "typer", "rich", "pyarrow"):
    assert importlib.util.find_spec(name) is None, name
print("alone", importlib.util.find_spec("exchange").origin)
"""


def closure(names):
    """The distributions that these need, without extras, by what is installed here."""
    found, left = {}, list(names)
    while left:
        name = re.match(r"[\w.-]+", left.pop())[0].lower().replace("_", "-")
        if name in found:
            continue
        found[name] = distribution(name)
        for need in found[name].requires or []:
            if "extra ==" in need:
                continue
            wanted = re.match(r"[\w.-]+", need)[0]
            try:
                distribution(wanted)
            except ModuleNotFoundError:
                continue  # of another platform or Python
            left.append(need)
    return found.values()


def test_the_wheel_alone_with_its_base_dependencies(place, tmp_path):
    """No extra is there: what the client imports by mistake is missing."""
    folder, _ = place
    source = tmp_path / "source"
    for name in ("exchange", "connectors"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", tmp_path, source], check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    shutil.unpack_archive(wheel, packages, "zip")
    assert (packages / "exchange" / "py.typed").exists()
    for each in closure(["httpx", "cryptography", "joserfc", "rfc8785"]):
        for top in {file.parts[0] for file in each.files or []} - {"..", "__pycache__"}:
            target = Path(str(each.locate_file(top)))
            if target.exists() and not (packages / top).exists():
                (packages / top).symlink_to(target)
    done = subprocess.run(
        [tmp_path / "venv/bin/python", "-I", "-c", ALONE, folder / "sme.json", tmp_path / "here"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"alone {packages / 'exchange' / '__init__.py'}" in done.stdout
    assert 'pip install "data-sharing-exchange[pandas]"' in done.stdout
    assert ".csv'] 1" in done.stdout
    bare = subprocess.run(
        [tmp_path / "venv/bin/python", "-I", "-m", "exchange.cli"], capture_output=True, text=True
    )
    assert bare.returncode == 2, bare.stderr
    assert bare.stderr.endswith("pip install 'data-sharing-exchange[cli]'\n")
