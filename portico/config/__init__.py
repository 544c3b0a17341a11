"""Settings: names, defaults, checks and secrets."""
