"""A brokered data-sharing exchange: publish, ask, decide, grant, log, deliver, verify."""

__version__ = "0.1.0"
