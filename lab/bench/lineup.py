"""All contenders, in the order of the tables."""

from lab.bench.contender import Contender
from lab.bench.own import own
from lab.bench.peers import peers


def lineup() -> dict[str, Contender]:
    """By name."""
    return {contender.name: contender for contender in [*own(), *peers()]}
