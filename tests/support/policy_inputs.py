"""Input documents for policy tests: one that is permitted, and thousands near the edges."""

import copy
import random
from collections.abc import Callable
from typing import Any

LARGEST = 2**53 - 1
EVIDENCE = ["self_declared", "verified", "certified"]
SIZES = ["micro", "small", "medium", "large"]
FIGURES = ["headcount", "revenue_cny_10k", "assets_cny_10k"]
INDUSTRIES = {
    "agriculture": ["revenue_cny_10k"],
    "industry": ["headcount", "revenue_cny_10k"],
    "construction": ["revenue_cny_10k", "assets_cny_10k"],
    "software_it_services": ["headcount", "revenue_cny_10k"],
    "real_estate_development": ["revenue_cny_10k", "assets_cny_10k"],
    "leasing_business_services": ["headcount", "assets_cny_10k"],
    "other": ["headcount"],
}
PURPOSES = ["logistics_planning", "scientific_research", "market_analysis", "model_training"]

# Strings on which two engines might part: empty, NUL, BOM, outside the BMP, quotes, line
# separators, combining marks, right-to-left marks, numbers in disguise, the longest.
TRAPS = [
    "",
    "\0",
    "\ufeff",
    "\ufefflogistics_planning",
    "𝔩𝔬𝔤𝔦𝔰𝔱𝔦𝔠𝔰",
    "🚚" * 64,
    '"\\/\b\f\n\r\t',
    "\u2028\u2029",
    "é",
    "e\u0301",
    "\u202elogistics",
    "\x7f\x80\x9f",
    "\ud7ff\ue000\uffff",
    "logistics_planning\0",
    "Logistics_planning",
    "null",
    "1e400",
    "-0",
    "物流规划",
    "l" * 64,
]


def sample() -> dict[str, Any]:
    """Return a new document that is permitted: 30 days, at most 100 sessions."""
    return copy.deepcopy(_SAMPLE)


def attribute(value: Any, evidence: str = "verified") -> dict[str, Any]:
    """Return an attribute with its evidence."""
    return {"value": value, "evidence": evidence}


_SAMPLE: dict[str, Any] = {
    "now": 1767225600,
    "consumer": {
        "id": "org_01kexample0000000000consumer",
        "status": "active",
        "roles": ["sme"],
        "attributes": {
            "jurisdiction": attribute("CN"),
            "industry": attribute("software_it_services"),
            "headcount": attribute(42),
            "revenue_cny_10k": attribute(900),
        },
    },
    "provider": {"id": "org_01kexample0000000000provider", "status": "active"},
    "offering": {
        "id": "off_ab12_01kexample000000000flights",
        "version": 1,
        "status": "published",
        "kind": "dataset",
        "classification": "general",
        "personal_information": "none",
        "purposes": ["logistics_planning", "scientific_research"],
        "max_days": 90,
        "jurisdictions": ["CN", "SG"],
        "min_evidence": "verified",
        "approval": "automatic",
        "approvers": 1,
        "sizes": ["micro", "small", "medium"],
        "max_sessions": 100,
        "limits": {},
        "sandbox": False,
    },
    "request": {"purpose": "logistics_planning", "actions": ["read"], "days": 30},
    "approvals": [],
}


def _figure(r: random.Random) -> int:
    """Return a number near the bounds of the table, or at the ends of what is allowed."""
    bound = r.choice([0, 5, 10, 20, 50, 100, 300, 1000, 2000, 5000, 40000, 80000, 200000, LARGEST])
    return min(LARGEST, max(0, bound + r.choice([-1, 0, 0, 1])))


def _some(r: random.Random, items: list[str], least: int = 0) -> list[str]:
    return r.sample(items, r.randint(least, len(items)))


def _enterprise(d: dict[str, Any], r: random.Random) -> None:
    industry = r.choice(list(INDUSTRIES))
    found = d["consumer"]["attributes"]
    found["industry"] = attribute(industry)
    for name in FIGURES:
        found.pop(name, None)
        if name in INDUSTRIES[industry] or r.random() < 0.2:
            found[name] = attribute(_figure(r))


def _forget(d: dict[str, Any], r: random.Random) -> None:
    found = d["consumer"]["attributes"]
    for name in r.sample(sorted(found), r.randint(1, len(found))) if found else []:
        del found[name]


def _weaken(d: dict[str, Any], r: random.Random) -> None:
    for found in d["consumer"]["attributes"].values():
        found["evidence"] = r.choice(EVIDENCE)


def _offering(**values: list[Any]) -> Callable[[dict[str, Any], random.Random], None]:
    def change(d: dict[str, Any], r: random.Random) -> None:
        d["offering"].update({name: r.choice(choices) for name, choices in values.items()})

    return change


def _jurisdiction(d: dict[str, Any], r: random.Random) -> None:
    d["consumer"]["attributes"]["jurisdiction"] = attribute(r.choice(["SG", "SG", "DE", "CN"]))


def _personal_abroad(d: dict[str, Any], r: random.Random) -> None:
    _jurisdiction(d, r)
    d["offering"]["personal_information"] = r.choice(["personal", "sensitive"])


def _important_abroad(d: dict[str, Any], r: random.Random) -> None:
    _jurisdiction(d, r)
    d["offering"]["classification"] = "important"


def _purpose(d: dict[str, Any], r: random.Random) -> None:
    d["request"]["purpose"] = r.choice(PURPOSES + TRAPS)


def _purposes(d: dict[str, Any], r: random.Random) -> None:
    d["offering"]["purposes"] = _some(r, [*PURPOSES, "not_on_the_list"])


def _days(d: dict[str, Any], r: random.Random) -> None:
    d["offering"]["max_days"] = r.choice([1, 30, 90, 36500])
    d["request"]["days"] = r.choice([1, 30, 31, 90, 91, 36500, 36501, LARGEST])


def _actions(d: dict[str, Any], r: random.Random) -> None:
    d["offering"]["kind"] = r.choice(["dataset", "compute", "technology"])
    d["request"]["actions"] = _some(r, ["read", "call", "write", "z" * 32], 1)


def _roles(d: dict[str, Any], r: random.Random) -> None:
    d["consumer"]["roles"] = _some(r, ["platform", "sme", "auditor", "operator"])


def _parties(d: dict[str, Any], r: random.Random) -> None:
    d[r.choice(["consumer", "provider"])]["status"] = r.choice(["active", "suspended"])


def _self(d: dict[str, Any], _: random.Random) -> None:
    d["provider"]["id"] = d["consumer"]["id"]


def _approvals(d: dict[str, Any], r: random.Random) -> None:
    by = ["mbr_01kexample0000000000approver", d["provider"]["id"], d["consumer"]["id"]]
    d["approvals"] = [
        {"by": r.choice(by), "at": r.choice([0, d["now"], LARGEST])}
        for _ in range(r.choice([1, 1, 2, 16]))
    ]


def _openness(d: dict[str, Any], r: random.Random) -> None:
    d["offering"]["sizes"] = _some(r, SIZES)
    d["offering"]["jurisdictions"] = _some(r, ["CN", "SG", "DE"])


def _numbers(d: dict[str, Any], r: random.Random) -> None:
    d["now"] = r.choice([0, 1, LARGEST])
    d["offering"]["version"] = r.choice([1, LARGEST])
    d["offering"]["max_sessions"] = r.choice([1, LARGEST, None])


def _limits(d: dict[str, Any], r: random.Random) -> None:
    counted = ("calls", "calls_per_minute", "bytes", "concurrent")
    limits: dict[str, Any] = {name: r.choice([1, 7, LARGEST]) for name in _some(r, [*counted])}
    if r.random() < 0.3:
        limits["paths"] = r.choice([["GET /stats/*"], ["POST /query", "GET /"]])
    d["offering"]["limits"] = limits


def _sandbox(d: dict[str, Any], r: random.Random) -> None:
    """The flag, as a rule where it counts."""
    d["offering"]["sandbox"] = r.random() < 0.9
    if r.random() < 0.8:
        d["offering"]["max_days"] = r.choice([1, 6, 7, 8])
        d["request"]["days"] = r.choice([1, 1, 6, 7, 8])


_CHANGES: list[Callable[[dict[str, Any], random.Random], None]] = [
    *(_enterprise, _enterprise, _forget, _weaken, _jurisdiction, _personal_abroad),
    *(_important_abroad, _purpose, _purpose, _purposes, _days, _actions, _roles, _parties, _self),
    *(_approvals, _approvals, _openness, _numbers, _limits, _limits, _sandbox, _sandbox),
    _offering(status=["draft", "suspended", "withdrawn"]),
    _offering(classification=["general", "important", "core"]),
    _offering(classification=["important"]),
    _offering(personal_information=["none", "personal", "sensitive"]),
    _offering(personal_information=["sensitive"]),
    _offering(min_evidence=EVIDENCE),
    _offering(approval=["automatic", "provider", "provider"], approvers=[1, 1, 2, 8]),
]


def documents(count: int, seed: int) -> list[dict[str, Any]]:
    """Return schema-valid documents: the sample with 0 to 5 things changed, the same by seed."""
    r = random.Random(seed)
    made = []
    for _ in range(count):
        document = sample()
        for change in r.choices(_CHANGES, k=r.choice([0, 1, 1, 1, 2, 2, 3, 5])):
            change(document, r)
        made.append(document)
    return made


def largest() -> dict[str, Any]:
    """Return a document with every list and string at its longest, refused for much."""
    document = sample()
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    document["offering"].update(
        jurisdictions=[(a + b).upper() for a in letters for b in letters][:250],
        purposes=["p" * 62 + a + b for a in "ab" for b in letters][:32],
        min_evidence="certified",
    )
    document["request"] = {
        "purpose": '"' * 64,
        "actions": ["z" * 31 + a for a in letters[:8]],
        "days": LARGEST,
    }
    document["approvals"] = [{"by": "mbr_" + "a" * 60, "at": LARGEST}] * 16
    return document
