"""`python -m secondopinion` is the command line."""

from secondopinion.command_line import app

app(prog_name="secondopinion")
