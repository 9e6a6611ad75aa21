"""Answers as JSON: the shapes of docs/api.md, from findings and facts."""
