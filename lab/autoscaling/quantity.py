"""Kubernetes' quantities: numbers with a suffix, kept in thousandths.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import math
import re
from fractions import Fraction

_FORM = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:([eE][+-]?\d+)|([a-zA-Z]{1,2}))?")
_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate(["k", "M", "G", "T"], 1)},
    **{suffix: Fraction(1024**power) for power, suffix in enumerate(["Ki", "Mi", "Gi", "Ti"], 1)},
}


def thousandths(text: str) -> int:
    """A quantity as the controller computes with it, rounded up as Kubernetes does.

    Raises:
        ValueError: it is no quantity.
    """
    match = _FORM.fullmatch(text)
    if match is None or (match[3] and match[3] not in _SUFFIXES):
        raise ValueError(f"{text!r}: no quantity such as 16, 500m or 1.5k")
    number = Fraction(match[1] + (match[2] or ""))
    return math.ceil(number * _SUFFIXES.get(match[3], Fraction(1)) * 1000)
