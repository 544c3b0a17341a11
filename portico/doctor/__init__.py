"""`portico doctor`: examines the machine, and the programs and servers that calls need, for what hinders calls."""
