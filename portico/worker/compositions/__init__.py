"""Jobs of compositions."""
