"""Builds the program out of its parts, and serves it."""
