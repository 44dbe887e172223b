"""Bytes and proofs of the exchange, pure and without I/O: what an auditor needs to check it."""
