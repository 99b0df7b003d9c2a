"""`thaw sample-data`: the data sets that come with Thaw."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.data.samples import SAMPLES, write_sample


@app.command("sample-data")
def sample_data(
    folder: Annotated[Path, typer.Argument(help="Where to write them.")] = Path("thaw-samples"),
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Write the sample data sets (clipart and digits) to a folder.

    Example: `thaw sample-data samples && thaw train --data samples/clipart/base`
    """
    written = {name: str(write_sample(name, folder)) for name in SAMPLES}
    if json_output:
        print_json(written)
        return
    for name, path in written.items():
        console.print(f"{SAMPLES[name]}\n  {path}", soft_wrap=True, highlight=False)
