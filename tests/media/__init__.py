"""Tests of portico.media."""
