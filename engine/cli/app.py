"""The typer application that the commands register themselves with."""

import importlib
import json
import sys
from typing import Any, Literal

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info, get_command_name

from engine.cli.commands import COMMANDS

MARKUP: Literal["markdown"] = "markdown"


class Commands(TyperGroup):
    """The commands, each imported when it is used and not when it is listed."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        # What a mistyped name is compared with.
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]
        self._is_listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Returns the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Returns a command, or None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, summary = COMMANDS[cmd_name]
        if self._is_listing:
            return TyperCommand(cmd_name, help=summary)
        importlib.import_module(f"engine.cli.{module}")
        [found] = [
            info
            for info in app.registered_commands
            if (info.name or get_command_name(info.callback.__name__)) == cmd_name  # type: ignore[union-attr]
        ]
        return get_command_from_info(found, pretty_exceptions_short=False, rich_markup_mode=MARKUP)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help that lists the commands."""
        self._is_listing = True
        super().format_help(ctx, formatter)


app = typer.Typer(
    name="thaw",
    cls=Commands,
    help="How should this pre-trained model be updated with my images? Without a command, opens "
    "the dashboard.\n\nExample: `thaw`",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
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
