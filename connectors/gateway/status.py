"""Whether a grant stands, as a gateway that reads no rows knows it: by its platform's status list.

The list is as good as its age. Where that is beyond STALE_SECONDS, nobody here knows what was
revoked meanwhile, and nothing is delivered.
"""

from typing import Final, Protocol

from connectors.gateway.problems import NotNow, Refused
from exchange.formats.status_list import Word
from exchange.formats.tokens import GrantToken, StatusPlace

STALE_SECONDS: Final = 10.0
"""How old what is known may be: from before it was asked for, never from when it arrived."""


class StatusStale(Exception):
    """What is known is too old, or not known yet."""


class StatusElsewhere(Exception):
    """The token's status is told by a list that is not this gateway's."""


class StatusSource(Protocol):
    """A status list that is kept up to date."""

    def check(self, place: StatusPlace) -> Word:
        """Return the status at a place; raises StatusStale or StatusElsewhere."""


def check_status(source: StatusSource | None, token: GrantToken) -> None:
    """Raise GatewayProblem unless the token's grant stands; without a source the row is read."""
    if source is None:
        return
    if token.status is None:
        raise Refused("status_missing", "The token does not say where its status is told.")
    try:
        status = source.check(token.status)
    except StatusStale as error:
        raise NotNow(
            "status_stale", "Whether the grant stands cannot be told right now."
        ) from error
    except StatusElsewhere as error:
        raise Refused(
            "status_list_unknown", "The token's status is told by another platform's list."
        ) from error
    if status != "valid":
        told = "was revoked, or has ended" if status == "revoked" else "is suspended"
        raise Refused(f"grant_{status}", f"The grant {told}.")
