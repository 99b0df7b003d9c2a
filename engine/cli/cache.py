"""`thaw cache`: what was computed once and is kept for other runs."""

from typing import Annotated

import typer
from rich.table import Table

from engine.caching import ArrayCache, cache_bytes, cache_limit, clear_cache, set_cache_limit
from engine.cli.app import JSON_HELP, app, console, print_json, seconds

KINDS = ("features", "pixels")


@app.command("cache")
def show_cache(
    limit: Annotated[
        float | None, typer.Option(min=0, help="How many GiB it may take from now on.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Throw all of it away.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """List decoded pictures and features that are kept on disk; bound them, or throw them away.

    What is thrown away is computed anew when a run needs it. Where room is short, what was not
    used for longest goes first.

    Example: `thaw cache --limit 20`
    """
    if limit is not None:
        set_cache_limit(limit)
    freed = clear_cache() if clear else 0
    entries = [(kind, entry) for kind in KINDS for entry in ArrayCache(kind).entries()]
    if json_output:
        print_json(
            {
                "bytes": cache_bytes(),
                "limit_bytes": cache_limit(),
                "freed_bytes": freed,
                "entries": [
                    {
                        "kind": kind,
                        "digest": entry.digest,
                        "label": entry.label,
                        "bytes": entry.num_bytes,
                        "seconds": entry.fill_seconds,
                        "key": entry.key,
                    }
                    for kind, entry in entries
                ],
            }
        )
        return
    if freed:
        console.print(f"Thrown away: {freed / 2**20:,.1f} MiB.", highlight=False)
    table = Table("kind", "what", "size", "took", box=None)
    for kind, entry in entries:
        size = f"{entry.num_bytes / 2**20:,.1f} MiB"
        table.add_row(kind, entry.label, size, seconds(entry.fill_seconds))
    if entries:
        console.print(table)
    held, most = cache_bytes() / 2**30, cache_limit() / 2**30
    console.print(f"{held:,.2f} of at most {most:,.1f} GiB", highlight=False)
