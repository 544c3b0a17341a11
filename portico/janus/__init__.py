"""Janus: its process, its configuration, the control connection to it, and the folder it records into."""
