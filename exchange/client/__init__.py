"""What a participant's program imports: `from exchange.client import Exchange`.

Needs httpx, cryptography, joserfc and rfc8785; `read` needs an extra: pandas,
arrow or duckdb; `verify_delivery` needs webhooks.
"""

from exchange.client.calls import Called
from exchange.client.deliveries import Delivery, verify_delivery
from exchange.client.documents import (
    Allowance,
    Closed,
    Explanation,
    File,
    FormField,
    Grant,
    Hold,
    Offering,
    Request,
    RequestStep,
    Revocation,
    Said,
    Usage,
    UsageDay,
    Waiting,
)
from exchange.client.errors import (
    CallCut,
    ClientError,
    MissingExtra,
    NotAnExchange,
    NotASandbox,
    NotAsPublished,
    NotAuthenticated,
    NotProved,
    NotReachable,
    ProfileProblem,
    Refused,
    ServiceRefused,
    Undecided,
)
from exchange.client.exchange import AsyncExchange, Exchange
from exchange.client.profile import Profile
from exchange.client.proofs import Proof
from exchange.client.rotation import rotate_key

__all__ = [
    "Allowance",
    "AsyncExchange",
    "CallCut",
    "Called",
    "ClientError",
    "Closed",
    "Delivery",
    "Exchange",
    "Explanation",
    "File",
    "FormField",
    "Grant",
    "Hold",
    "MissingExtra",
    "NotASandbox",
    "NotAnExchange",
    "NotAsPublished",
    "NotAuthenticated",
    "NotProved",
    "NotReachable",
    "Offering",
    "Profile",
    "ProfileProblem",
    "Proof",
    "Refused",
    "Request",
    "RequestStep",
    "Revocation",
    "Said",
    "ServiceRefused",
    "Undecided",
    "Usage",
    "UsageDay",
    "Waiting",
    "rotate_key",
    "verify_delivery",
]
