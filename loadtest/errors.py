"""What keeps a load test from being run."""


class LoadtestError(Exception):
    """Names the input and the remedy; never a reason within the service."""
