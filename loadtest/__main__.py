"""`python -m loadtest` is the command line."""

from loadtest.command_line import app

app()
