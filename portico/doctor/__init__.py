"""`portico doctor`: examines the machine and the parts around the server for what hinders calls."""
