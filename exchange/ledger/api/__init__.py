"""Routes of the log, a file a subject."""
