"""The HTTP transport: routes, bodies, problem documents."""
