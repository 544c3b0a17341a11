"""The rules of the domain, pure: no clock, no randomness, no input or output."""
