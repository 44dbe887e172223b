"""`authorization_details` (RFC 9396): one element, of a kind of offering.

    {"type": "dataset", "offering": "off_…", "purpose": "…", "actions": ["read"], "days": 30}
    {"type": "dataset", "grant_id": "grt_…", "actions": ["read"]}

The first asks for access, the second for a token of a grant that stands. What is not known is
refused: a condition that nobody reads would be no condition.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from exchange.access.api.documents import (
    REST,
    Action,
    Actions,
    Days,
    Digest,
    FormIn,
    OfferingRef,
    PurposeIn,
    read_only,
)
from exchange.access.model import Ask
from exchange.http import Body
from exchange.oauth.model import OneGrant, OneOffering, Refused
from exchange.strict_json import read_json

Kind = Literal["dataset", "compute", "technology"]
TYPES: tuple[str, ...] = ("dataset", "compute", "technology")
MAX_LENGTH = 16 * 1024
DAYS = 30
EXAMPLE = (
    '[{"type":"dataset","offering":"off_00000000000000000000000000",'
    '"purpose":"logistics_planning","actions":["read"],"days":30}]'
)


class OfferingDetail(Body):
    """Access to an offering."""

    type: Kind
    offering: OfferingRef
    purpose: PurposeIn
    actions: Actions = Field(default_factory=read_only)
    days: Days = DAYS
    form: FormIn = Field(default_factory=dict)
    accepted_terms: Digest | None = None


class GrantDetail(Body):
    """A grant that stands; `actions` are some of its own."""

    type: Kind
    grant_id: Annotated[str, StringConstraints(pattern=f"^grt_{REST}$")]
    actions: Annotated[list[Action], Field(min_length=1, max_length=2)] | None = None


_OFFERING, _GRANT = TypeAdapter(OfferingDetail), TypeAdapter(GrantDetail)


def parse_details(text: str) -> OneGrant | OneOffering:
    """Read the parameter; raises Refused (`invalid_authorization_details`, section 5)."""
    if len(text) > MAX_LENGTH:
        raise _refused(f"the parameter has {MAX_LENGTH} characters at most")
    try:
        value = read_json(text.encode())
    except ValueError as error:
        raise _refused("it is not JSON, each name once") from error
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        raise _refused("it must be an array of one object: a token is for one grant")
    detail = value[0]
    if detail.get("type") not in TYPES:
        raise _refused(f"type must be one of {', '.join(TYPES)}")
    if ("offering" in detail) == ("grant_id" in detail):
        raise _refused("it must name either an offering or a grant_id")
    try:
        if "grant_id" in detail:
            grant = _GRANT.validate_python(detail)
            actions = tuple(sorted(set(grant.actions))) if grant.actions is not None else None
            return OneGrant(grant.grant_id, grant.type, actions)
        asked = _OFFERING.validate_python(detail)
    except ValidationError as error:
        raise _refused(_faults(error)) from error
    ask = Ask(
        asked.offering,
        asked.purpose,
        tuple(sorted(set(asked.actions))),
        asked.days,
        asked.form,
        asked.accepted_terms,
    )
    return OneOffering(asked.type, ask)


def _faults(error: ValidationError) -> str:
    """Name each fault and its place; a name that was sent and is not ours is not repeated."""
    known = OfferingDetail.model_fields | GrantDetail.model_fields
    told = []
    for fault in error.errors()[:5]:
        name = str(fault["loc"][0]) if fault["loc"] else "?"
        if fault["type"] == "extra_forbidden":
            told.append("a field that is not known here")
        else:
            told.append(f"{name if name in known else '?'}: {fault['type']}")
    return "; ".join(dict.fromkeys(told))


def _refused(detail: str) -> Refused:
    return Refused("invalid_authorization_details", f"authorization_details: {detail}.")
