"""What the gateway's routes take in common."""

from typing import Annotated

from fastapi import Path
from fastapi.security import HTTPBearer

GrantId = Annotated[
    str,
    Path(
        pattern="^grt_[0-9a-z]{4}_[0-9a-hjkmnp-tv-z]{26}$",
        examples=["grt_k3x9_01j9zq4x5ve8wk2n7c6r3tq0ab"],
    ),
]
bearer = HTTPBearer(
    auto_error=False,
    scheme_name="grant_token",
    description="A grant token from /oauth/token (scope=grant:ID)",
)
