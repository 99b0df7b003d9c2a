"""`thaw add`: an archive of images, taken in."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.data.archives import unpack

LEFT_OUT_SHOWN = 5


@app.command("add")
def add(
    archive: Annotated[Path, typer.Argument(help="A zip or tar file.")],
    name: Annotated[str, typer.Option(help="Of the new folder; the archive's own if none.")] = "",
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Unpack an archive of images to where Thaw keeps data sets: all of it, or nothing.

    Links, devices and names that lead elsewhere are left out and listed; an archive that unpacks
    to far more than pictures do is refused.

    Example: `thaw add photos.zip && thaw inspect ~/.local/share/thaw/datasets/photos`
    """
    unpacked = unpack(archive, name)
    if json_output:
        print_json(
            {
                "folder": str(unpacked.folder),
                "pictures": unpacked.num_pictures,
                "left_out": [[one.path, one.reason] for one in unpacked.left_out],
                "num_left_out": unpacked.num_left_out,
            }
        )
        return
    console.print(f"{unpacked.num_pictures:,} pictures in {unpacked.folder}", soft_wrap=True)
    if unpacked.num_left_out:
        console.print(f"{unpacked.num_left_out:,} entries were left out:")
        for one in unpacked.left_out[:LEFT_OUT_SHOWN]:
            console.print(f"  {one.path!r}: {one.reason}", soft_wrap=True)
    console.print(f"Look at it with: thaw inspect {str(unpacked.folder)!r}", soft_wrap=True)
