"""Background work: what was promised in a transaction and is done after it."""
