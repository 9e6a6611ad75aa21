"""Compares the bench's own load generator with MLPerf's LoadGen."""
