"""The operations on the database: one function for each, which gets a transaction. No other package has SQL."""
