"""Signs releases by The Update Framework."""
