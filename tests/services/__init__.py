"""Tests of portico.services."""
