"""How near a GPU's limit the members run, and what decoding costs beside it."""
