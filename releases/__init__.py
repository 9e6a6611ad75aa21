"""The life of a release: which one serves whom, since when, by whom, and on what evidence."""
