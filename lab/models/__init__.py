"""Measures size, CPU time and accuracy of the exported members: docs/models.md."""
