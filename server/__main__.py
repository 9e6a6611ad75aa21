"""`python -m server`: starts Triton, loads the releases, and keeps them serving."""

import re
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from pipelines.load import FOLDER
from pipelines.ports import Ports
from pipelines.profile import DEFAULT_PROFILE
from pipelines.tls import TritonTls
from server.errors import ServerError
from server.launcher.launch import Options, launch
from server.launcher.report import Report
from server.triton.connection import LOOPBACK
from server.triton.installation import ROOT

_ALL = "all"


def main(  # noqa: PLR0917 - the command line
    pipelines: Annotated[
        list[str],
        typer.Option(help="Name to serve; again for more, or several with commas; or 'all'."),
    ] = [_ALL],  # noqa: B006 - typer copies it
    profile: Annotated[
        str,
        typer.Option(
            envvar="SERVER_PROFILE",
            metavar="NAME",
            help="Serve the pipelines under this profile of their YAML; those that have none of "
            "this name under their default. `embedded` is the one that each YAML names for CPUs.",
        ),
    ] = DEFAULT_PROFILE,
    gateway: Annotated[
        bool,
        typer.Option("--gateway", help="Also run the gateway (HTTP and gRPC), and supervise it."),
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            envvar="SERVER_HOST",
            metavar="ADDRESS",
            help="Bind Triton's gRPC and all metrics here. Triton lets everyone in who reaches it: "
            "beyond loopback only in a private network (a pod's), better with TRITON_TLS_*.",
        ),
    ] = LOOPBACK,
    repository: Annotated[
        Path, typer.Option(help="Triton's model repository.", exists=True, file_okay=False)
    ] = ROOT / "model_repository",
    specs: Annotated[
        Path, typer.Option(help="Folder of the pipelines' YAML.", exists=True, file_okay=False)
    ] = FOLDER,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for Triton's log and backends; default: .run/<gRPC port>."),
    ] = None,
) -> None:
    """Runs Triton, loads the pipelines, and heals what dies, until Ctrl-C or SIGTERM.

    Ports come from the environment: TRITON_HTTP_PORT (8000), TRITON_GRPC_PORT (8001),
    TRITON_METRICS_PORT (8002), SERVER_METRICS_PORT (8003) and, with --gateway, GATEWAY_PORT (8080)
    and GATEWAY_GRPC_PORT (8011).

    SERVER_METRICS_PORT has /metrics, /healthz and /readyz (?pipeline=NAME). TRITON_TLS_CA_FILE,
    TRITON_TLS_CERTIFICATE_FILE and TRITON_TLS_KEY_FILE encrypt gRPC; TRITON_HOME names a
    tritonserver that is installed already, as in its container.

    Serves the current release of each pipeline (see python -m export --help). A pipeline whose
    YAML (with 'all') or release comes later is loaded as soon as it is there.

    The first Ctrl-C or SIGTERM lets requests in flight finish; a second Ctrl-C does not wait.
    """
    report = Report()
    try:
        ports = Ports()
        options = Options(
            pipelines=names(pipelines),
            profile=profile,
            gateway=gateway,
            repository=repository.absolute(),
            specs=specs,
            runtime=(run_dir or ROOT / ".run" / str(ports.triton_grpc_port)).absolute(),
            ports=ports,
            tls=TritonTls(),
            host=host,
        )
        launch(options, report)
    except ValidationError as error:
        for item in error.errors():
            where = f"{str(item['loc'][0]).upper()}: " if item["loc"] else ""
            report.say(f"error: {where}{item['msg'].removeprefix('Value error, ')}")
        raise typer.Exit(1) from None
    except ServerError as error:
        for line in str(error).splitlines():
            report.say(f"error: {line}")
        raise typer.Exit(1) from None


def names(asked: list[str]) -> list[str] | None:
    """The pipelines to serve, each once, from words that may hold commas or spaces; None: all."""
    words = [word for item in asked for word in re.split(r"[,\s]+", item) if word]
    return None if _ALL in words or not words else list(dict.fromkeys(words))


if __name__ == "__main__":
    typer.run(main)
