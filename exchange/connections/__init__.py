"""Platforms' connections to their own stores and services, and the vault of their credentials."""
