"""What was used of grants: sums for the parties, the same that the sessions' leaves say."""
