"""The HTTP side: routes, bodies, problem documents."""
