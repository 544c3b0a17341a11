"""Tests of Portico, with the real parts wherever there are some."""
