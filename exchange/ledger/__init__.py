"""The audit log: group commit, checkpoints, tiles, proofs, receipts, followers."""
