"""The program that makes one composition of recordings."""
