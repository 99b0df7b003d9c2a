"""`thaw log`: what happened in a run, or in Thaw as a whole."""

import json
import time
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from engine.cli.app import JSON_HELP, app, console, print_json
from engine.cli.interrupt import first_interrupt
from engine.errors import StoreError
from engine.home import home_path
from engine.logs.lines import LogEntry, local_time, one_line, severity
from engine.logs.output import tail
from engine.logs.places import run_log, run_output, service_log
from engine.logs.reading import Follower, last_entries
from engine.redact import redacted
from engine.runs.store import Store

POLL_SECONDS = 0.3
OUTPUT_BYTES = 16 * 2**10
STYLES = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}


class Level(StrEnum):
    """The levels, as they are given on the command line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@app.command("log")
def show_log(
    run: Annotated[
        str | None, typer.Argument(help="A run's id, or as much of it as is unique.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is added, until the run ends.")
    ] = False,
    level: Annotated[Level, typer.Option(help="The least level that is shown.")] = Level.DEBUG,
    lines: Annotated[int, typer.Option(min=1, help="Show at most the last so many lines.")] = 500,
    json_output: Annotated[
        bool, typer.Option("--json", help=f"{JSON_HELP} With --follow, one a line.")
    ] = False,
) -> None:
    """Show what happened in a run, or without one in Thaw as a whole; the newest comes last.

    Example: `thaw log 3f9a2c1b --follow`
    """
    run_id = None if run is None else _run_id(run)
    file = service_log() if run_id is None else run_log(run_id)
    follower = Follower(file.path)
    entries, has_more = last_entries(file.parts, lines, level.value)
    output = "" if run_id is None else redacted(tail(run_output(run_id), OUTPUT_BYTES))
    if json_output and not follow:
        told = [entry.to_dict() for entry in entries]
        print_json({"run": run_id, "entries": told, "has_earlier": has_more, "output": output})
        return
    if not entries and not json_output:
        console.print(f"Nothing is written in {file.path}.", highlight=False, soft_wrap=True)
    for entry in entries:
        _show(entry, json_output)
    if follow:
        _follow(follower, run_id, level.value, json_output)
    elif output.strip():
        console.print(f"\nWhat the process printed ({run_output(run_id or '')}):", style="bold")
        console.print(Text(output.rstrip()), soft_wrap=True)


def _run_id(text: str) -> str:
    """Returns a run's id: by its folder, so that a damaged store hides nothing."""
    if text.isalnum():
        found = [folder.name for folder in (home_path() / "runs").glob(f"{text}*")]
        if len(found) == 1:
            return found[0]
    return Store().run(text).id


def _follow(follower: Follower, run_id: str | None, level: str, json_output: bool) -> None:
    with first_interrupt() as interrupt:
        while not interrupt.pressed:
            goes_on = run_id is None or _goes_on(run_id)
            for entry in follower.new_entries():
                if entry.severity >= severity(level):
                    _show(entry, json_output)
            if not goes_on:
                break
            time.sleep(POLL_SECONDS)
    follower.close()


def _goes_on(run_id: str) -> bool:
    try:
        store = Store()
    except StoreError:
        return True
    try:
        return store.run(run_id).is_active
    except StoreError:
        return False
    finally:
        store.close()


def _show(entry: LogEntry, json_output: bool) -> None:
    if json_output:
        print(json.dumps(entry.to_dict()), flush=True)
        return
    style = STYLES.get(entry.level, "")
    where = f"{entry.kind}[{entry.pid}]" if entry.kind else ""
    told = [local_time(entry.time), f"{entry.level:8}", where, one_line(entry)]
    console.print(Text("  ".join(told).strip(), style=style), soft_wrap=True)
    if trace := entry.fields.get("traceback"):
        console.print(Text(f"    {trace}".replace("\n", "\n    "), style="dim"), soft_wrap=True)
