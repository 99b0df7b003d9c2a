"""`thaw explain`: which parts of a picture speak for a class, as a run's checkpoint sees it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.app import JSON_HELP, app, console, percent, print_json
from engine.cli.bar import bar_reporter
from engine.cli.runs import RunArgument
from engine.errors import DataError, SpecError
from engine.insight.saliency_maps import Method, Question, SaliencyMap
from engine.runs.store import Store

# From nothing to all, as a terminal can show it.
SHADES = " ·░▒▓█"


@app.command()
def explain(
    run: RunArgument,
    image: Annotated[Path, typer.Option("--image", help="The picture.")],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Speaks for which class; the one that is named without it."),
    ] = None,
    occlusion: Annotated[
        bool,
        typer.Option("--occlusion", help="Cover one part after the other, whatever the network."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the picture with the map over it (PNG).")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Show which parts of a picture speak for a class, as a run's best checkpoint sees it.

    By Grad-CAM where the network's last map has at least 4 x 4 cells, as in CNNs and Swin; else, as
    for ViTs and small pictures, by covering one part after the other. What was found is kept, and
    the Compare page shows it.

    Example: `thaw explain 3f9a2c1b --image bird.jpg --out why.png`
    """
    if out is not None and out.suffix.lower() != ".png":
        raise SpecError(f"{out} must end in .png, as that is what is written.")
    found = Store().run(run)
    method: Method = "occlusion" if occlusion else "fit"
    path = str(image.expanduser().absolute())
    with bar_reporter(json_output) as reporter:
        from engine.insight.saliency import explain as find_maps
        from engine.insight.saliency import named_class

        names = tuple(classes) if classes else (named_class(found.id, path),)
        maps = find_maps([Question(found.id, path, names, method)], reporter)
    if out is not None:
        _write(maps[0], found.spec, out)
    if json_output:
        print_json(
            {"maps": [one.to_dict() for one in maps], "out": None if out is None else str(out)}
        )
        return
    for one in maps:
        _show(one)
    if out is not None:
        console.print(f"Written to {out}.", highlight=False)


def _write(found: SaliencyMap, spec: Any, out: Path) -> None:
    from engine.insight.overlay import overlay, square_picture

    try:
        overlay(square_picture(found.path, spec, found.mean), found).save(out, "PNG")
    except OSError as error:
        raise DataError(
            f"{out} cannot be written ({error.strerror or error}); name a file in a folder that is "
            "there and that you may write to."
        ) from error


def _show(found: SaliencyMap) -> None:
    named = "" if found.named == found.class_name else f"; it names {found.named}"
    console.print(
        f"{found.class_name}: {percent(found.probability)}{named}. {found.method}, {found.cells}.",
        highlight=False,
        soft_wrap=True,
    )
    if found.is_empty:
        console.print("No part by itself speaks for this class.")
        return
    for row in found.values:
        cells = (SHADES[min(int(one * len(SHADES)), len(SHADES) - 1)] for one in row)
        # Twice: a letter is half as wide as it is high.
        console.print("  " + "".join(2 * one for one in cells), highlight=False)
