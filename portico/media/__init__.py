"""The media server: its configuration, its process and the control connection to it."""
