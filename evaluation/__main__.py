"""`python -m evaluation` is the command line."""

import sys

from evaluation.command_line import main

main(sys.argv[1:])
