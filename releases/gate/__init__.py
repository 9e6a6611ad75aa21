"""The gate: whether a candidate release may take the place of the current one."""
