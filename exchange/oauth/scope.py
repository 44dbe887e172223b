"""What a token is asked for: `scope` (RFC 6749 section 3.3)."""

import re

from exchange.formats.tokens import GRANT_SCOPE
from exchange.ids import is_id
from exchange.oauth.model import ApiScopes, OneGrant, Refused
from exchange.participants.model import Status, scopes_left, scopes_of

MAX_LENGTH = 1000
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")


def parse_scope(
    scope: str | None,
    roles: frozenset[str],
    member_roles: frozenset[str] | None = None,
    status: Status = "active",
) -> ApiScopes | OneGrant:
    """Return what is asked for; without a scope, all that the roles allow.

    Those are the organisation's and, where the client is a person's, the person's there. While the
    organisation is suspended little is left of it, and no grant: no data is delivered to it.
    Raises Refused (invalid_scope) for a scope that the roles do not allow, never less in silence.
    """
    allowed = scopes_left(scopes_of(roles, member_roles), status)
    if scope is None:
        asked = allowed
    elif len(scope) > MAX_LENGTH or not _SCOPE.fullmatch(scope):
        raise Refused("invalid_scope", "scope must be names with one space between them.")
    else:
        asked = frozenset(scope.split(" "))
    if any(name.startswith(GRANT_SCOPE) for name in asked):
        grant_id = next(iter(asked)).removeprefix(GRANT_SCOPE)
        if len(asked) > 1 or not is_id(grant_id, "grt"):
            raise Refused("invalid_scope", "A grant token is for one grant: scope=grant:GRANT_ID.")
        check_delivers(roles, member_roles, status)
        return OneGrant(grant_id)
    if not asked or not asked <= allowed:
        names = ", ".join(sorted(allowed)) or "none"
        whose = "that your roles allow" if status == "active" else "left while suspended"
        raise Refused("invalid_scope", f"The scopes {whose} are: {names}.")
    return ApiScopes(asked)


def check_delivers(
    roles: frozenset[str], member_roles: frozenset[str] | None, status: Status
) -> None:
    """Refuse whom no data is delivered to, and who may not ask for any."""
    if status == "suspended":
        raise Refused("access_denied", "The client's organisation is suspended.")
    if member_roles is not None and "requests" not in scopes_of(roles, member_roles):
        raise Refused("invalid_scope", "Data is delivered to developers of the organisation.")
