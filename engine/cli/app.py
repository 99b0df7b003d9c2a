"""The typer application that the commands register themselves with."""

import json
import sys
from typing import Any

import typer
from rich.console import Console

app = typer.Typer(
    name="thaw",
    help="How should this pre-trained model be updated with my images? Without a command, opens "
    "the dashboard.\n\nExample: `thaw`",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

# What is piped on is not to be folded to the width of a terminal that is not there.
console = Console(markup=False, width=None if sys.stdout.isatty() else 200)

JSON_HELP = "Print one JSON document to stdout and nothing else there."


def print_json(document: Any) -> None:
    """Prints one JSON document to stdout."""
    print(json.dumps(document, indent=1))


def percent(fraction: float | None) -> str:
    """Returns a fraction as a percentage for people, or a dash."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def seconds(duration: float | None) -> str:
    """Returns a duration for people, or a dash."""
    if duration is None:
        return "–"
    if duration < 60:
        return f"{duration:.1f} s"
    return f"{int(duration // 60)} min {int(duration % 60)} s"
