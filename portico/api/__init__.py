"""REST: parses requests, calls services, renders answers."""
