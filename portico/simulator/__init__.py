"""Simulated participants, for `portico simulate`: plans, test media, and the measured quality of what they receive."""
