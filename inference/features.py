"""How far two computations of a network's features lie from each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def difference(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference between features of one shape, as a share of the largest of them.

    A network's features may be of any size, and rounding errors grow with them; below 1 the
    difference counts as it is. Infinite where a number is not finite.
    """
    largest = float(np.abs(found - expected).max(initial=0))
    share = largest / max(1.0, float(np.abs(expected).max(initial=0)))
    return share if np.isfinite(share) else float("inf")
