"""`thaw soup` and `thaw interpolate`: new weights out of those that runs left."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engine.cli.app import app, console, percent, print_json
from engine.cli.runs import JsonOption, RunArgument
from engine.insight.blends import SoupReport, runs_to_average
from engine.runs.store import Store


@app.command()
def soup(
    runs: Annotated[list[str], typer.Argument(help="Two finished runs or more, by id.")],
    json_output: JsonOption = False,
) -> None:
    """Average the best weights of runs that grew from the same start, and judge the average.

    Example: `thaw soup 3f9a2c1b 77d01e52`
    """
    store = Store()
    runs_to_average(store, runs)  # so that what is refused does not wait for PyTorch
    from engine.insight.soup import make_soup

    made = make_soup(store, runs)
    if json_output:
        print_json(made.to_dict())
        return
    table = Table("", "val accuracy", "F1", box=None)
    for member in made.members:
        name = f"{member.name} ({member.run_id})"
        table.add_row(name, percent(member.val_accuracy), f"{member.val_f1:.3f}")
    table.add_row("their average", percent(made.val_accuracy), f"{made.val_f1:.3f}")
    console.print(table)
    console.print(f"{_standing(made)}\n{made.checkpoint}", soft_wrap=True, highlight=False)


def _standing(made: SoupReport) -> str:
    """Returns in a sentence how the average does beside the best of its runs."""
    lead = made.lead_images
    if lead == 0:
        return f"As many of the {made.val_images} validation images right as with the best of them."
    more = "more" if lead > 0 else "fewer"
    return (
        f"{abs(lead)} {more} of the {made.val_images} validation images right than with the best "
        "of them."
    )


@app.command()
def interpolate(
    run: RunArgument,
    alpha: Annotated[
        float,
        typer.Option(
            help="Share of the weights after fine-tuning: 0 is before, 1 after.", min=0.0, max=1.0
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="A .safetensors file to write. Default: one in the run's folder."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Keep a blend of a wise_ft run's weights before and after fine-tuning, and judge it.

    Example: `thaw interpolate 3f9a2c1b --alpha 0.3`
    """
    from engine.insight.soup import interpolate_run

    made = interpolate_run(Store(), run, alpha, out)
    if json_output:
        print_json(made.to_dict())
        return
    right = round(made.val_accuracy * made.val_images)
    console.print(
        f"alpha {alpha:g}: {percent(made.val_accuracy)} val accuracy ({right} of "
        f"{made.val_images} images), F1 {made.val_f1:.3f}\n{made.checkpoint}",
        soft_wrap=True,
        highlight=False,
    )
