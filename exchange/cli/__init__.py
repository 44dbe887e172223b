"""The `exchange` command."""
