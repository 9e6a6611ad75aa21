"""Benchmark by MLPerf Inference's scenarios: one caller, open load, photos at hand, overload."""
