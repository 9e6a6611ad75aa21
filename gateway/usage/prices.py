"""What compute time costs, by the operator's prices."""

from dataclasses import dataclass

_HOUR_SECONDS = 3600
_DIGITS = 6
"""Of an amount of money: a single image costs far less than a cent."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of an hour; None where the operator has not said one."""

    cpu_hour: float | None
    """Of one core."""
    gpu_hour: float | None
    """Of one device."""
    currency: str
    """A word, as `EUR`: nothing is converted."""

    def cost(self, cpu_seconds: float, gpu_seconds: float) -> float | None:
        """What compute time costs; None where there is no price of some of it."""
        if self.cpu_hour is None or (self.gpu_hour is None and gpu_seconds > 0):
            return None
        of_gpu = gpu_seconds * (self.gpu_hour or 0.0)
        return round((cpu_seconds * self.cpu_hour + of_gpu) / _HOUR_SECONDS, _DIGITS)
