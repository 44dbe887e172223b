"""Proof of possession (RFC 9449): tokens that are worth nothing to whoever copies them.

The key is made for one conversation, stays in memory and goes with it.
"""

import time
from typing import NamedTuple

import httpx

from exchange.formats.dpop import Prover
from exchange.formats.tokens import generate_client_key


class Token(NamedTuple):
    """An access token, and how it is shown: `dpop` or `bearer`."""

    value: str
    kind: str


class Possession:
    """One key, and the server's newest nonce."""

    def __init__(self) -> None:
        self._prover: Prover | None = None
        self._nonce: str | None = None

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """Return a proof for one request."""
        if self._prover is None:
            self._prover = Prover(generate_client_key())
        return self._prover.proof(method, url, time.time(), nonce=self._nonce, token=token)

    def shows(self, token: Token, method: str, url: str) -> dict[str, str]:
        """Return the headers that show a token."""
        if token.kind != "dpop":
            return {"Authorization": f"Bearer {token.value}"}
        proof = self.proof(method, url, token.value)
        return {"Authorization": f"DPoP {token.value}", "DPoP": proof}

    def learns(self, response: httpx.Response) -> bool:
        """Keep the nonce that an answer brings; whether the request failed for want of it."""
        nonce = response.headers.get("dpop-nonce")
        if nonce is None:
            return False
        self._nonce = nonce
        if response.status_code == httpx.codes.UNAUTHORIZED:
            return "use_dpop_nonce" in response.headers.get("www-authenticate", "")
        return response.status_code == httpx.codes.BAD_REQUEST and "use_dpop_nonce" in response.text
