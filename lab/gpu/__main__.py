"""`python -m lab.gpu`: measures a pipeline's members on a GPU against its measured roofline."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from export.errors import ExportError
from lab.errors import LabError
from lab.gpu import report
from lab.gpu.run import Extent, measure
from lab.load import photos
from lab.paths import CACHE, ROOT
from pipelines import atomic_write
from pipelines.load import SpecError, load_spec
from pipelines.protocol import DEFAULT_PIPELINE

screen = Console(stderr=True, highlight=False, soft_wrap=True)
_PAGE = ROOT / "docs" / "performance" / "gpu.md"
_NO_GPU = 2


def main(  # noqa: PLR0917 - the command line
    pipeline: Annotated[
        str, typer.Option(help="The pipeline whose members run.")
    ] = DEFAULT_PIPELINE,
    architectures: Annotated[
        str, typer.Option(help="Others than the pipeline's, with commas, as regnety_320.")
    ] = "",
    batches: Annotated[str, typer.Option(help="Images in a forward pass, ascending.")] = (
        "1,8,32,128,512"
    ),
    device: Annotated[
        str, typer.Option(help="cuda, or cpu to see that everything works.")
    ] = "cuda",
    graphs: Annotated[bool, typer.Option(help="Replay CUDA graphs.")] = True,
    repository: Annotated[
        Path, typer.Option(help="Triton's model repository, for the ensemble.", file_okay=False)
    ] = ROOT / "model_repository",
    output: Annotated[
        Path | None,
        typer.Option(help="The page; JSON of the same name beside. [docs/performance/gpu.md]"),
    ] = None,
) -> None:
    """Measures members in FP16 against the device's own limits, and what decoding costs beside.

    Where ONNX Runtime and torch can use the GPU, the whole ensemble is then asked through the
    gateway and Triton. Exits with 2 where there is no CUDA.
    """
    import torch  # noqa: PLC0415 - keep --help quick

    if device == "cuda" and not torch.cuda.is_available():
        screen.print(
            f"error: torch {torch.__version__} finds no CUDA device. Run this on a machine with an "
            "NVIDIA GPU, its driver and a CUDA build of torch; or say --device cpu to see that "
            "the script works (its figures then say nothing about a GPU)"
        )
        raise typer.Exit(_NO_GPU)
    page = output or (_PAGE if device == "cuda" else CACHE / "gpu-on-cpu.md")
    try:
        extent = Extent(
            spec=load_spec(pipeline),
            architectures=tuple(architectures.replace(",", " ").split()),
            batches=_numbers(batches),
            device=torch.device(device),
            graphs=graphs and device == "cuda",
            photos=photos.ensure(CACHE / "photos-640x480"),
            repository=repository.absolute(),
        )
        command = " ".join(["python -m lab.gpu", *sys.argv[1:]])
        run = measure(extent, command, lambda step: screen.print(_timed(step), markup=False))
    except (LabError, ExportError, SpecError) as error:
        screen.print(f"[red]error:[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.print("stopped; nothing was written")
        raise typer.Exit(130) from None
    run.write(page.with_suffix(".json"))
    atomic_write.write_text(page, report.page(run))
    screen.print(f"wrote {page} and {page.with_suffix('.json')}")


def _timed(step: str) -> str:
    return f"{datetime.now(UTC):%H:%M:%S} {step}"


def _numbers(asked: str) -> tuple[int, ...]:
    try:
        numbers = tuple(sorted({int(word) for word in asked.replace(",", " ").split()}))
    except ValueError:
        raise LabError(f"--batches: {asked!r} is not numbers with commas, as 1,32") from None
    if not numbers or numbers[0] < 1:
        raise LabError("--batches: at least one number from 1 on, as 1,32")
    return numbers


if __name__ == "__main__":
    typer.run(main)
