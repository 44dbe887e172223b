"""Routes of connections, and of the keys that seal their credentials."""
