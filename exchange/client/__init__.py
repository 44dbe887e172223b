"""What a participant's program imports: profiles, sessions, and what is done with them."""
