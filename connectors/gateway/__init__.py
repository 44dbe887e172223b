"""The gateway: verify a grant token, record the use, deliver. Imports `exchange.formats` only."""
