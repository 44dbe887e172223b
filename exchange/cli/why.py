"""Why something does not go on, as one sentence each: who, since when, and their words."""

from typing import Any

Answer = dict[str, Any]


def suspended(hold: Answer) -> str:
    """Say who suspended a grant, since when and why."""
    by = _by(hold["placed_by"], hold["by_organisation_id"])
    why = (
        _words(hold["reason_text"], hold["text"]) or "for a reason between them and its other party"
    )
    return f"suspended by {by} since {hold['since'][:16]}Z: {why}"


def revoked(grant: Answer) -> str:
    """Say who revoked a grant, when and why; empty where nobody did."""
    found = grant.get("revocation")
    if not found:
        return ""
    by = _by(found["revoked_by"], found["by_organisation_id"])
    return f"revoked by {by} at {found['at'][:16]}Z: {_words(found['reason_text'], found['text'])}"


def closed(request: Answer) -> str:
    """Say who closed a request, and in which words; empty where nobody did."""
    found = request.get("closed")
    return _words(found["kind_text"], found["text"]) if found else ""


def stopped(grant: Answer) -> list[str]:
    """Say all that keeps a grant from being used."""
    return [*filter(None, [revoked(grant)]), *(suspended(hold) for hold in grant["holds"])]


def standing(grant: Answer | None) -> str:
    """Say what a grant is, in one line."""
    if grant is None:
        return ""
    state = f"{grant['id']} {grant['status']}"
    return (
        "; ".join([state, *stopped(grant)])
        if stopped(grant)
        else f"{state} until {grant['ends_at']}"
    )


def _by(side: str, organisation: str | None) -> str:
    return " ".join(filter(None, ("the" if organisation else "a", side, organisation)))


def _words(*said: str | None) -> str:
    return " ".join(filter(None, said))
