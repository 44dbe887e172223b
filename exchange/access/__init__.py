"""Request, decision, grant, delivery, end: the critical path."""
