"""The error of a check that cannot run."""


class ChecksError(Exception):
    """Something that a check needs is missing; the message has the remedy."""
