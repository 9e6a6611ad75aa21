"""Users that load a running service as the real ones do, and the budgets it must hold."""
