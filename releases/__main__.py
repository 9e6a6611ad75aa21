"""`python -m releases`: the life of a release."""

import typer

from releases.card.command import card
from releases.drift.command import drift
from releases.gate.command import gate
from releases.signatures.command import sign, verify

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The life of a release.",
)
app.command()(gate)
app.command()(drift)
app.command()(card)
app.command()(sign)
app.command()(verify)


@app.callback()
def _group() -> None:
    """The life of a release: from a candidate beside what serves to what serves, and back."""


if __name__ == "__main__":
    app(prog_name="python -m releases")
