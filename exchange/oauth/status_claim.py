"""The claim `status` of grant tokens (draft-ietf-oauth-status-list, section 6.1)."""

from typing import Any


def status_claim(uri: str, index: int) -> dict[str, Any]:
    """Return the claim that names the token's place in a status list."""
    return {"status": {"status_list": {"idx": index, "uri": uri}}}
