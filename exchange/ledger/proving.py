"""A proof of possession is used up by the first write that its request leads to.

Whoever authenticates a request says which once key its proof is (`prove`); the ledger puts it into
that write. So no store of proofs is needed, and a replay fails at any worker.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from exchange.errors import Unauthenticated
from exchange.ledger.write import Committed, Met, Once, Write


@dataclass(slots=True)
class _Proof:
    once: Once
    is_spent: bool = False


_PROOF: ContextVar[_Proof | None] = ContextVar("proof", default=None)


def prove(once: Once | None) -> None:
    """Let this once key go with the next write of this request; None: no proof came with it."""
    _PROOF.set(None if once is None else _Proof(once))


@contextmanager
def proving(once: Once | None) -> Iterator[None]:
    """Let it go with the next write inside."""
    before = _PROOF.set(None if once is None else _Proof(once))
    try:
        yield
    finally:
        _PROOF.reset(before)


def with_proof(write: Write) -> Write:
    """Return the write with the once key of the request's proof, unless it is spent."""
    proof = _PROOF.get()
    if proof is None or proof.is_spent:
        return write
    return replace(write, once=[proof.once, *write.once])


def spend_proof(result: Committed | Met) -> None:
    """Note that a write went through; raises Unauthenticated where the proof had been used."""
    proof = _PROOF.get()
    if proof is None or proof.is_spent:
        return
    if isinstance(result, Committed):
        proof.is_spent = True
    elif result.key == proof.once.key:
        raise proof_used()


def proof_used() -> Unauthenticated:
    """Return the refusal of a proof that was used before."""
    return Unauthenticated(
        "dpop_replayed",
        "The DPoP proof was used before.",
        hint="Sign a new one for each request (RFC 9449 section 4.3).",
        scheme="dpop",
        error="invalid_dpop_proof",
    )
