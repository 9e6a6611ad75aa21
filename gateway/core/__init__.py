"""What serves a request without knowing its transport: facts, limits, shared calls, readiness."""
