"""The parts of inference that know no transport: facts, limits, shared calls, readiness."""
