"""Usage and its cost: who asked what, how often, what came of it."""
