"""Answers against the published contract: its acceptance cases, and the official SDK driven at us."""
