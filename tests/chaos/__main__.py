"""`make chaos`: a table of faults and outcomes. `-m tests.chaos NAME…` for some of them only."""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos import faults, shortages
from tests.chaos.stage import Stage, WrongOutcomeError

Fault = Callable[[Stage], str]


def all_faults(moments: int) -> dict[str, Fault]:
    """Returns every fault by its name."""
    killed: dict[str, Fault] = {
        f"worker killed at {moments} random moments, {name}": partial(
            faults.killed_at_random, strategy=name, moments=moments
        )
        for name in faults.STRATEGIES
    }
    paused: dict[str, Fault] = {
        f"run paused at {moments} random moments, {name}": partial(
            faults.paused_at_random, strategy=name, moments=moments
        )
        for name in faults.STRATEGIES
    }
    return (
        killed
        | paused
        | {
            "worker killed in the middle of a write": faults.killed_in_a_write,
            "dashboard killed": faults.dashboard_killed,
            "dashboard, supervisor and worker killed": faults.everything_killed,
            "supervisor killed": faults.supervisor_killed,
            "trainer killed, its helpers orphaned": faults.helpers_orphaned,
            "helper that decodes pictures killed": faults.loader_killed,
            "database locked for 10 s": faults.store_locked,
            "no room on the disk": faults.disk_full,
            "images removed while training": faults.data_removed,
            "newest state damaged": faults.checkpoint_damaged,
            "training hangs, asked to stop": faults.hangs,
            "process number used by a stranger": faults.stranger_with_its_number,
            "five who read and write beside the run": faults.many_writers,
            "no memory for a step": shortages.memory_short,
            "all states damaged": shortages.all_states_damaged,
            "run folder read-only": shortages.run_folder_read_only,
            "THAW_HOME read-only": shortages.home_read_only,
            "disk full for a while": shortages.small_disk_full,
            "disk full until the run gives up": shortages.small_disk_stays_full,
            "clock set back by an hour": shortages.clock_set_back,
            "worker killed in the middle of a commit": shortages.killed_in_a_commit,
        }
    )


def main() -> int:
    """Causes the faults one after the other; returns 1 where one had another outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of faults; all by default")
    parser.add_argument("--moments", type=int, default=13, help="kills of each strategy")
    chosen = parser.parse_args()
    console = Console()
    table = Table("fault", "outcome", "s")
    bad = 0
    for name, fault in all_faults(chosen.moments).items():
        if chosen.names and not any(part in name for part in chosen.names):
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(
            prefix="thaw-chaos-", ignore_cleanup_errors=True
        ) as folder:
            try:
                outcome = fault(Stage(Path(folder)))
            except WrongOutcomeError as error:
                bad, outcome = bad + 1, f"[red]WRONG: {error}"
            except Exception as error:
                traceback.print_exc()
                bad, outcome = bad + 1, f"[red]ERROR: {type(error).__name__}: {error}"
        seconds = time.monotonic() - started
        console.print(f"{name}: {outcome} ({seconds:.0f} s)")
        table.add_row(name, outcome, f"{seconds:.0f}")
    console.print(table)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
