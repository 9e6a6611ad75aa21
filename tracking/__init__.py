"""Tells a tracking server (MLflow) of exports, gates and evaluations, if asked to."""
