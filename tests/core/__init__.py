"""Tests of portico.core."""
