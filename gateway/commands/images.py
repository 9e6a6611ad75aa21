"""`python -m gateway images`: deletes kept images, and wraps their keys again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from gateway.kept_images.keeper import KeptImages

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="The images that were kept (docs/feedback.md).")


@app.command()
def delete(
    predictions: Annotated[
        list[str], typer.Argument(metavar="PREDICTION...", help="As the answers have them.")
    ],
) -> None:
    """Destroys the keys of images, and removes the images. Ends with 1 where one was not kept."""

    async def destroy(images: "KeptImages") -> list[bool]:
        return [await images.destroy(prediction) for prediction in predictions]

    gone = _with_images(destroy)
    for prediction, deleted in zip(predictions, gone, strict=True):
        typer.echo(f"{prediction}: {'deleted' if deleted else 'no image is kept'}")
    raise typer.Exit(0 if all(gone) else 1)


@app.command()
def sweep() -> None:
    """Destroys images whose time is over, and removes what has no record. Gateways do it hourly."""
    destroyed, removed = _with_images(lambda images: images.sweep())
    typer.echo(f"{destroyed} destroyed, {removed} removed from the store")


@app.command()
def rewrap() -> None:
    """Wraps the keys of all images by the first key of the image_key file."""
    typer.echo(f"{_with_images(lambda images: images.rewrap())} wrapped again")


class _Writes:
    """Writes to the database beside the gateways that serve."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    async def run(self, function: "Callable[[Connection], T]") -> T:
        def write() -> T:
            with self._engine.begin() as connection:
                return function(connection)

        return await asyncio.to_thread(write)


def _with_images(work: "Callable[[KeptImages], Awaitable[T]]") -> T:
    """Does something with the kept images, or ends the process with a message."""
    from gateway.commands import setup  # noqa: PLC0415 - the database: quick --help
    from gateway.kept_images.encryption import UnreadableImageError  # noqa: PLC0415
    from gateway.kept_images.keeper import KeptImages  # noqa: PLC0415
    from gateway.kept_images.store import StoreError  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415

    with setup.stops_on_errors(StoreError, UnreadableImageError):
        settings = Settings()
        with setup.opened_database(settings) as engine:
            secrets = setup.secret_files(settings)
            images = KeptImages(settings.kept_images, secrets, engine, _Writes(engine))

            async def do() -> T:
                return await work(images)

            return asyncio.run(do())
