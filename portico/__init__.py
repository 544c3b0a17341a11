"""Portico: the Telnyx Video API on your own machine."""

__version__ = "0.2.0"
