"""The routes of the catalog."""
