"""Offerings: what platforms publish, versioned, with the terms that policies decide by."""
