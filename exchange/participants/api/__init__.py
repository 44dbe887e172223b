"""Routes of participants: organisations with their clients, and members."""
