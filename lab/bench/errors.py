"""What may go wrong, each with its remedy in the text."""


class BenchError(Exception):
    """The run cannot go on."""


class ContenderError(Exception):
    """One contender cannot be measured; the others can."""
