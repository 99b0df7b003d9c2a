"""`python -m tests.soak --minutes 60`: a table of what became of the store; 1 where it is bad."""

import argparse
import os
import sys
import tempfile

from rich.console import Console
from rich.table import Table

from engine.runs.database import describe_database, describe_sqlite
from tests.soak.soak import NUM_READERS, Outcome, soak


def main() -> int:
    """Soaks a store of its own, or that of THAW_DATABASE_URL, and says how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=200.0, help="events a second of the run")
    parser.add_argument("--readers", type=int, default=NUM_READERS)
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory(prefix="thaw-soak-") as home:
        os.environ["THAW_HOME"] = home
        console.print(describe_database(), describe_sqlite(), sep="\n", highlight=False)
        outcome = soak(60 * chosen.minutes, chosen.rate, chosen.readers)
    _say(console, outcome)
    return 1 if outcome.faults or outcome.integrity != "ok" else 0


def _say(console: Console, outcome: Outcome) -> None:
    table = Table(
        "who", "calls", "calls/s", "worst wait, ms", "long read, ms", "events", "events/s"
    )
    for one in outcome.seen:
        table.add_row(
            one.who,
            f"{one.num_calls:,}",
            f"{one.num_calls / outcome.seconds:.1f}",
            f"{1000 * one.worst_seconds:.0f}",
            f"{1000 * one.longest_seconds:.0f}" if one.longest_seconds else "",
            f"{one.num_events:,}",
            f"{one.num_events / outcome.seconds:.1f}",
        )
    console.print(table)
    before, after = outcome.sizes
    console.print(
        f"{outcome.seconds:.0f} s; the file grew from {before:,} to {after:,} bytes; the journal "
        f"was {outcome.largest_journal:,} bytes at most and {outcome.last_journal:,} at the end; "
        f"integrity: {outcome.integrity}"
    )
    console.print("\n".join(outcome.faults) or "no fault: no event lost or doubled, no lock error")


if __name__ == "__main__":
    sys.exit(main())
