"""Drift: whether photos or answers have become others than they were."""
