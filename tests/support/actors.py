"""A platform, an SME and an auditor at a running exchange, all through its public API."""

from dataclasses import replace
from pathlib import Path

from exchange.client.profile import Profile, jwks_of, new_profile, read_profile
from exchange.client.session import Session
from exchange.clock import DAY_MS, now_ms, rfc3339

SME_ATTRIBUTES = {
    "jurisdiction": "CN",
    "industry": "software_it_services",
    "headcount": 42,
    "revenue_cny_10k": 900,
}
TERMS = {
    "kind": "dataset",
    "title_en": "Flights from New York, 2013",
    "title_zh": "2013年纽约出港航班",
    "classification": "general",
    "personal_information": "none",
    "purposes": ["logistics_planning", "scientific_research"],
    "max_days": 90,
    "jurisdictions": ["CN"],
    "min_evidence": "self_declared",
    "approval": "automatic",
    "source": {"connector": "files", "path": "data.bin"},
}

# What makes of TERMS, and of SERVICE_TERMS with limits, an offering for anyone to try.
SANDBOX_TERMS = {"purposes": ["trial"], "max_days": 7, "max_sessions": 3, "sandbox": True}

SERVICE_TERMS = TERMS | {
    "kind": "compute",
    "title_en": "Statistics of flights",
    "title_zh": "航班统计",
    "source": None,
}

# Tests send tokens by hand, too.
BEARER = {"dpop_bound_access_tokens": False}


def operator(state: Path) -> Session:
    return Session(read_profile(state / "keys" / "operator.json"))


def join(
    by: Session,
    name: str,
    roles: list[str],
    attributes: dict | None = None,
    evidence="verified",
    *,
    engaged: bool = True,
) -> Session:
    """Register an organisation with one client, and return that client's session.

    An auditor is engaged for the whole log, for a month; see `engage` for others.
    """
    made: Profile = new_profile(by.profile.url)
    organisation = by.post(
        "/v1/organisations",
        {
            "name_en": name,
            "name_zh": name,
            "roles": roles,
            "attributes": attributes or {},
            "evidence": evidence,
        },
    )
    client = by.post(
        f"/v1/organisations/{organisation['id']}/clients",
        {"name": name, "jwks": jwks_of(made)} | BEARER,
    )
    if "auditor" in roles and engaged:
        engage(by, organisation["id"])
    return Session(replace(made, client_id=client["id"], organisation_id=organisation["id"]))


def engage(by: Session, auditor_id: str, *named: str, days: float = 30) -> dict:
    """Engage an auditor, as operator: for these organisations' affairs, or without any for all."""
    return by.post("/v1/engagements", engagement(auditor_id, *named, days=days))


def engagement(auditor_id: str, *named: str, days: float = 30) -> dict:
    """What the operator posts to engage an auditor."""
    return {
        "auditor": auditor_id,
        "scope": "named" if named else "whole",
        "organisations": list(named),
        "ends_at": rfc3339(now_ms() + int(days * DAY_MS)),
        "purpose": "Yearly audit 年度审计",
    }


def member(by: Session, organisation: Session, name: str, roles: list[str]) -> Session:
    """Invite a person (`by` is an owner there, or the operator), and return their own session."""
    org_id = organisation.profile.organisation_id
    invited = by.post(f"/v1/organisations/{org_id}/members", {"name": name, "roles": roles})
    made: Profile = new_profile(by.profile.url)
    joined = by.http.post(
        "/v1/invitations/accept",
        json={"invitation": invited["invitation"], "jwks": jwks_of(made)} | BEARER,
    )
    assert joined.status_code == 201, joined.text
    client = joined.json()["client"]
    return Session(replace(made, client_id=client["id"], organisation_id=org_id))


def publish(platform: Session, content: bytes = b"0123456789" * 1000, **terms) -> dict:
    """Upload a file and publish a dataset offering on it."""
    name = terms.pop("file_name", "data.bin")
    platform.request("PUT", f"/v1/files/{name}", content=content)
    wanted = TERMS | {"source": {"connector": "files", "path": name}} | terms
    draft = platform.post("/v1/offerings", wanted)
    return platform.post(f"/v1/offerings/{draft['id']}/publish")


def publish_service(platform: Session, url: str, *allow: str, **terms) -> dict:
    """Register a connection to a service, and publish an offering of calls to it."""
    credential = {"kind": "header", "name": "X-Api-Key", "value": "planted-9f8e7d6c5b4a"}
    connection = platform.post(
        "/v1/connections",
        {"kind": "http", "name": "Service", "url": url, "credential": credential},
    )
    source = {"connector": "http", "connection": connection["id"], "allow": list(allow)}
    source |= terms.pop("source", {})
    draft = platform.post("/v1/offerings", SERVICE_TERMS | {"source": source} | terms)
    return platform.post(f"/v1/offerings/{draft['id']}/publish")


def ask(sme: Session, offering: dict, purpose="logistics_planning", days=30, **more) -> dict:
    return sme.post(
        "/v1/access-requests",
        {"offering_id": offering["id"], "purpose": purpose, "actions": ["read"], "days": days}
        | more,
    )
