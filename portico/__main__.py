"""`python -m portico`."""

from portico.cli.main import main

main()
