"""What a grant's state is in a status list, and which leaves may change it: pure rules."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from exchange.access.model import GrantStatus
from exchange.formats.status_list import INVALID, SUSPENDED, VALID

STATUS_OF: Final[dict[GrantStatus, int]] = {
    "active": VALID,
    "suspended": SUSPENDED,
    "revoked": INVALID,
    "ended": INVALID,
}

HARMLESS: Final = frozenset(
    f"exchange.{kind}"
    for kind in (
        *("attribute.set.v1", "audit.read.v1", "client.invitation_withdrawn.v1"),
        *("client.invited.v1", "client.keys_changed.v1", "client.registered.v1"),
        *("client.registered.v2", "client.registered.v3", "client.secret_replaced.v1"),
        *("connection.changed.v1", "connection.credential_replaced.v1"),
        *("connection.registered.v1", "connection.removed.v1", "decision.denied.v1"),
        *(
            "decision.needs_approval.v1",
            "delivery.closed.v1",
            "delivery.closed.v2",
            "delivery.opened.v1",
        ),
        *("engagement.ended.v1", "engagement.opened.v1", "keys.master_retired.v1"),
        *("keys.master_rotated.v1", "keys.token_retired.v1", "keys.token_rotated.v1"),
        *("log.opened.v1", "member.invited.v1", "member.joined.v1"),
        # A removed member's clients are disabled, each by a leaf of its own in the same write.
        *("member.removed.v1", "member.roles_changed.v1", "offering.published.v1"),
        # A withdrawn offering's grants go on; what a new policy would refuse gets a hold.
        *("offering.withdrawn.v1", "organisation.registered.v1", "policy.activated.v1"),
        *("request.answered.v1", "request.appealed.v1", "request.approved.v1"),
        *("request.commented.v1", "request.lapsed.v1", "request.questioned.v1"),
        *("request.rejected.v1", "request.reminded.v1", "request.withdrawn.v1"),
        "token.revoked.v1",  # one token, given up by its client: the grant stands
        *("webhook.paused.v1", "webhook.registered.v1", "webhook.removed.v1"),
    )
)
"""Leaves that change no grant's status. Of any other the subject is looked up: a kind that is not
named here costs a query, and hides nothing.
"""


def list_uri(issuer: str, provider_id: str) -> str:
    """Return the URI of a platform's status list."""
    return f"{issuer}/v1/status-lists/{provider_id}"


@dataclass(slots=True)
class Touched:
    """Whose grants some leaves may have changed, by the kind of their subject."""

    grants: list[str] = field(default_factory=list)
    offerings: list[str] = field(default_factory=list)
    organisations: list[str] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, leaves: Iterable[tuple[str, str]]) -> "Touched":
        """Sort the subjects of leaves, given as type and subject."""
        subjects = {subject for kind, subject in leaves if kind not in HARMLESS}
        found = cls()
        places = {
            "grt_": found.grants,
            "off_": found.offerings,
            "org_": found.organisations,
            "cli_": found.clients,
        }
        for subject in sorted(subjects):
            if subject[:4] in places:
                places[subject[:4]].append(subject)
        return found
