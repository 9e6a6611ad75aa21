"""Why a check could not be made."""


class ChecksError(Exception):
    """Something that a check needs is missing; the message has the remedy."""
