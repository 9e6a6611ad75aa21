"""All contenders, in the order of the tables."""

from bench.contender import Contender
from bench.own import own
from bench.peers import peers


def lineup() -> dict[str, Contender]:
    """By name."""
    return {contender.name: contender for contender in [*own(), *peers()]}
