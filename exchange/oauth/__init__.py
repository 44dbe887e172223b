"""The authorization server: Authlib's core behind a thin adapter, a file a RFC."""
