"""Why a simulation could not be made."""


class SimulationError(Exception):
    """Something is missing or did not start; the message has the remedy."""
