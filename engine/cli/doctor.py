"""`thaw doctor`: what is wrong with an installation, and how to mend it."""

import os
import sys
from collections import Counter
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from engine import __version__
from engine.cli.app import JSON_HELP, app, console, print_json
from engine.doctor.checks import all_checks, import_checks
from engine.doctor.examine import examine, repair
from engine.doctor.finding import Named, Verdict

STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red", "not applicable": "dim"}
MARKS = {"ok": "✓", "warning": "!", "fault": "✗", "not applicable": "–"}


@app.command()
def doctor(
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Mend what can be mended safely; nothing of yours is removed."),
    ] = False,
    port: Annotated[
        int, typer.Option(help="Port that the dashboard would listen on.", min=1, max=65535)
    ] = 8501,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Say what is wrong with this installation of Thaw, and how to mend it.

    It changes nothing, unless with --mend. The exit code is 1 where something does not work.

    Example: `thaw doctor`
    """
    import_checks()
    checks = all_checks(port)
    found = examine(checks)
    mended: list[str] = []
    if mend:
        found, mended = repair(checks, found)
    counts = Counter(one.finding.verdict for one in found)
    if json_output:
        told = [one.to_dict() for one in found]
        print_json(
            {"thaw": __version__, "faults": counts["fault"], "checks": told, "mended": mended}
        )
    else:
        _show(found, mended, counts)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: a check that hangs would be waited for.
    os._exit(1 if counts["fault"] else 0)


def _show(found: list[Named], mended: list[str], counts: "Counter[Verdict]") -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for number in range(3):
        table.add_column(no_wrap=number < 2, overflow="fold")
    for one in found:
        style = STYLES[one.finding.verdict]
        table.add_row(Text(MARKS[one.finding.verdict], style), one.name, Text(one.finding.found))
        if one.finding.mend:
            table.add_row("", "", Text(one.finding.mend, style))
    console.print(table, highlight=False)
    for sentence in mended:
        console.print(f"Mended: {sentence}", highlight=False, soft_wrap=True)
    console.print(
        f"\nThaw {__version__}: {counts['ok']} checks are well, {counts['warning']} warn, "
        f"{counts['fault']} have found a fault.",
        highlight=False,
    )
