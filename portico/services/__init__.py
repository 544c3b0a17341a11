"""One function per operation, given a transaction; the only writers of tables."""
