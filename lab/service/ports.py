"""Finds free TCP ports on this machine."""

import socket
from contextlib import ExitStack

from pipelines.ports import Ports


def free_ports(count: int) -> list[int]:
    """TCP ports of loopback that nobody listens on, each once."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def free_service_ports() -> Ports:
    """A free port for each of the service's."""
    names = Ports.model_fields
    return Ports.model_validate(dict(zip(names, free_ports(len(names)), strict=True)))


def port_variables(ports: Ports) -> dict[str, str]:
    """The environment variables that move the service to these ports."""
    return {name.upper(): str(port) for name, port in ports.model_dump().items()}
