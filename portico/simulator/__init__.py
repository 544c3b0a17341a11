"""Simulated participants, for `portico simulate`: their plan, what they send and receive, and whether it was good."""
