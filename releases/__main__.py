"""`python -m releases`: the life of a release."""

import typer

from releases.card.command import card
from releases.drift.command import drift
from releases.gate.canary import canary
from releases.gate.command import gate
from releases.life import commands, reports
from releases.life.prune import prune
from releases.signatures.command import sign, verify

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The life of a release.",
)
app.command("list")(reports.list_releases)
app.command()(reports.show)
app.command("history")(reports.show_history)
app.command()(commands.stage)
app.command()(commands.shadow)
app.command()(commands.split)
app.command()(commands.promote)
app.command()(commands.rollback)
app.command()(commands.retire)
app.command()(commands.mirror)
app.command()(prune)
app.command()(gate)
app.command()(canary)
app.command()(drift)
app.command()(card)
app.command()(sign)
app.command()(verify)


@app.callback()
def _group() -> None:
    """The life of a release: from a candidate beside what serves to what serves, and back.

    Which one serves whom is in the database at GATEWAY_DATABASE_URL. See docs/releases.md.
    """


if __name__ == "__main__":
    app(prog_name="python -m releases")
