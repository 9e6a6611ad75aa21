"""The schedule of arrivals: a Poisson process, the same for every contender and, scaled, rate."""

import random


def gaps(rate: float, requests: int, seed: str) -> list[float]:
    """Seconds between the arrivals of so many requests; one less than there are requests.

    They are scaled to have exactly this rate: a few hundred draws differ from it by some percent,
    and the one draw would then count as a faster server. The same seed gives the same pattern at
    each rate, only denser: two contenders, or two rates, differ by what they do and not by luck.

    Args:
        rate: arrivals a second.
        requests: how many, at least 2.
        seed: of the draw.
    """
    source = random.Random(seed)  # noqa: S311 - no secret
    unit = [source.expovariate(1.0) for _ in range(requests - 1)]
    scale = len(unit) / (sum(unit) * rate)
    return [gap * scale for gap in unit]
