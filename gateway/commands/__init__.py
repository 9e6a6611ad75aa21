"""The commands of `python -m gateway`. Each imports what it needs when it runs: quick --help."""
