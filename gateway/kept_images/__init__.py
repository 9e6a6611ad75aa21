"""Images that are kept with their callers' consent: encryption, store, and their records."""
