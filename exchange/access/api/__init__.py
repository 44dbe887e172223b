"""Routes of the critical path, a file a subject."""
