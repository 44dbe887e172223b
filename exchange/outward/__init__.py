"""The way outward: to addresses that the operator allows, whatever a name resolves to."""
