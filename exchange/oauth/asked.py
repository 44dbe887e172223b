"""What a token request asks for: `scope`, `authorization_details` or neither; and `resource`."""

from collections.abc import Mapping

from exchange.oauth.model import Asked, Party, Refused
from exchange.oauth.rar import parse_details
from exchange.oauth.scope import check_delivers, parse_scope


def parse_asked(form: Mapping[str, str], party: Party) -> Asked:
    """Read it, and check it against what the party may ask for; raises Refused."""
    who = party.organisation
    details = form.get("authorization_details")
    if details is None:
        return parse_scope(form.get("scope"), who.roles, party.member_roles, who.status)
    if "scope" in form:  # a token is for the exchange's own routes, or for one grant
        raise Refused("invalid_request", "Send scope or authorization_details, not both.")
    asked = parse_details(details)
    check_delivers(who.roles, party.member_roles, who.status)
    return asked


def check_resource(resource: str | None, audience: str) -> None:
    """Refuse a `resource` (RFC 8707) that is not where the token will be good."""
    if resource is not None and resource != audience:
        raise Refused("invalid_target", f"What is asked for is served at {audience}.")
