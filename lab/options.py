"""Options of the command line that several programs of the lab take."""

from pathlib import Path
from typing import Annotated

import typer

from lab.paths import ROOT

Repository = Annotated[
    Path, typer.Option(help="Triton's model repository.", exists=True, file_okay=False)
]
MODEL_REPOSITORY = ROOT / "model_repository"
"""Default of `Repository`."""
Specs = Annotated[
    Path, typer.Option(help="Folder of the pipelines' YAML.", exists=True, file_okay=False)
]
Docs = Annotated[
    Path | None, typer.Option(help="Also write the tables into this document.", dir_okay=False)
]
