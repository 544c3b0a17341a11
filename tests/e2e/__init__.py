"""End-to-end tests: the real server and Janus, real Chromium, the official SDKs unmodified."""
