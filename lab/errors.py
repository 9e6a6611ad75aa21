"""What may go wrong, each with its remedy in the text."""


class LabError(Exception):
    """The run cannot go on."""


class ContenderError(Exception):
    """One contender cannot be measured; the others can."""
