"""The error of a load test that cannot be run."""


class LoadtestError(Exception):
    """Names the input and the remedy; never a reason within the service."""
