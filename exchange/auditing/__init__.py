"""What an auditor runs without trusting the exchange: it imports the formats, and nothing else."""
