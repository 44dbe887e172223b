"""Routes of the authorization server, a file a RFC."""
