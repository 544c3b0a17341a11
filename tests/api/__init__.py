"""Tests of portico.api."""
