"""The model card of a release: one page for those who decide whether to use it."""
