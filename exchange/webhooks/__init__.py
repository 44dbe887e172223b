"""Webhooks: what follows the log and tells others of it, signed."""
