"""Grants' statuses for connectors: signed lists, and streams of what changes."""
