"""DPoP at the token endpoint (RFC 9449 section 5): the token is bound to the key of the proof."""

from collections.abc import Sequence
from dataclasses import dataclass

from exchange.formats.dpop import (
    MAX_AGE,
    SIGNING_ALGORITHMS,
    ProofRefused,
    check_proof,
    read_proof,
)
from exchange.formats.shown import Nonces
from exchange.ledger.write import Once
from exchange.oauth.model import Refused
from exchange.participants.model import Client

__all__ = ["SIGNING_ALGORITHMS", "Bound", "bind"]


@dataclass(frozen=True, slots=True)
class Bound:
    """The key that a token will be bound to; the proof is good once, so `once` is committed."""

    jkt: str
    once: Once


def bind(
    proofs: Sequence[str], client: Client, nonces: Nonces, *, url: str, now: float
) -> Bound | None:
    """Judge a token request's DPoP headers; None where a bearer token is due.

    `url` is the endpoint's as the settings say. Raises Refused: `invalid_dpop_proof`, or
    `use_dpop_nonce` with a nonce (section 8).
    """
    if not proofs:
        if client.dpop_bound:
            raise Refused(
                "invalid_dpop_proof",
                "This client's tokens are bound to a key: send a proof in the header DPoP, as "
                "`exchange profile headers` writes it, or register a client for bearer tokens.",
            )
        return None
    if len(proofs) > 1:
        raise Refused("invalid_dpop_proof", "Send one DPoP header.")
    try:
        proof = read_proof(proofs[0])
        check_proof(proof, method="POST", url=url, now=now)
    except ProofRefused as error:
        raise Refused("invalid_dpop_proof", f"The proof: {error.detail}.") from error
    if not nonces.is_fresh(proof.nonce, now):
        raise Refused(
            "use_dpop_nonce",
            f"Sign a proof with the nonce of the header DPoP-Nonce, good for {MAX_AGE} s.",
            headers={"DPoP-Nonce": nonces.make(now)},
        )
    return Bound(proof.jkt, Once(proof.once_key, proof.expires * 1000))
