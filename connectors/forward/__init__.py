"""Forwarding calls to platforms' services: one HTTP/1.1 exchange, bounded in every way."""
