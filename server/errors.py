"""The expected errors of the launcher: each ends it with one message and exit code 1."""


class ServerError(Exception):
    """Base of the expected errors; the message names the problem and the remedy."""


class PreflightError(ServerError):
    """The machine lacks something; all failures are in the message, a line each."""


class StartError(ServerError):
    """Triton or the gateway did not start."""


class UnknownProfileError(ServerError):
    """No pipeline has a profile of the name that was asked for."""


class RefusedPipelineError(ServerError):
    """A pipeline cannot be served; others may be."""


class UnhealthyError(ServerError):
    """A model does not answer although it is loaded."""
