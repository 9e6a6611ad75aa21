"""`python -m lab.service.gateway_before_several`: the gateway, before Tritons of several ports.

In a cluster a name has the addresses of all Tritons. One machine has no such name.
"""

ADDRESSES = "GATEWAY_ADDRESSES"
"""Of the Tritons, as `127.0.0.1:8001,127.0.0.1:9001`."""


def main() -> None:
    """Serves until it is told to stop."""
    # Whoever only starts this program needs no gateway.
    from gateway.commands import serve  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415

    class Several(Settings):
        """Settings whose address of Triton is several ones."""

        addresses: str

        @property
        def triton_address(self) -> str:
            """As gRPC writes a list."""
            return f"ipv4:{self.addresses}"

    vars(serve)["Settings"] = Several
    serve.serve()


if __name__ == "__main__":
    main()
