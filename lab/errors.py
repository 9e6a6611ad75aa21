"""The errors of the lab; each message names the remedy."""


class LabError(Exception):
    """The run cannot go on: something is missing, did not start, or is not as it has to be."""


class ContenderError(Exception):
    """One contender cannot be measured; the others can."""
