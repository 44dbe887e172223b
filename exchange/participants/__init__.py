"""Organisations, their attributes with evidence, and their OAuth clients."""
