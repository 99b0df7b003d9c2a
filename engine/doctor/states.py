"""What runs have kept to go on from, and their best weights: whether the files are whole."""

import json
import subprocess
import sys
from pathlib import Path

from safetensors import SafetensorError, safe_open

from engine.doctor.finding import Finding, fault, few, ok, warning
from engine.home import home_path

STATES = "*/state-*.safetensors"
WEIGHTS = "*/best.safetensors"
MODULE = "engine.doctor.states_probe"
PROBE_SECONDS = 60.0
# So much is read in full, the newest first; of the others only the beginning and the size.
MOST_BYTES = 2 * 2**30


def states() -> Finding:
    """Looks whether the states that runs can be resumed from are whole."""
    files = _newest_first(STATES)
    damaged = _torn(files)
    damaged |= _faulty([file for file in files if str(file) not in damaged])
    if not damaged:
        return ok(f"All {len(files)} states that runs can be resumed from are whole.")
    named = [f"{Path(file).parent.name}/{Path(file).name}" for file in damaged]
    return warning(
        f"{len(damaged)} states of runs are damaged: {few(named)}.",
        "Nothing needs to be done: when such a run is resumed, the state before is used.",
        damaged=damaged,
    )


def weights_of_runs() -> Finding:
    """Looks whether the best weights of runs can be opened."""
    files = _newest_first(WEIGHTS)
    damaged = _torn(files)
    if not damaged:
        return ok(f"The best weights of all {len(files)} runs that kept some can be opened.")
    named = [Path(file).parent.name for file in damaged]
    return fault(
        f"The best weights of {len(damaged)} runs are damaged: {few(named)}.",
        "Train these runs again, or put a copy of best.safetensors back; look after the disk.",
        damaged=damaged,
    )


def _newest_first(pattern: str) -> list[Path]:
    files = [(_changed(file), file) for file in (home_path() / "runs").glob(pattern)]
    return [file for _, file in sorted(files, reverse=True)]


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _torn(files: list[Path]) -> dict[str, str]:
    """Returns files whose beginning or size is not that of a whole one, with the reason."""
    torn: dict[str, str] = {}
    for file in files:
        try:
            with safe_open(file, framework="numpy") as opened:
                opened.metadata()
        except FileNotFoundError:
            # The run has just gone on.
            continue
        except (SafetensorError, OSError, ValueError) as error:
            torn[str(file)] = " ".join(str(error).split())[:120]
    return torn


def _faulty(files: list[Path]) -> dict[str, str]:
    """Returns files whose checksum does not fit, with the reason; none where PyTorch is not."""
    chosen: list[str] = []
    left = MOST_BYTES
    for file in files:
        left -= file.stat().st_size if file.exists() else 0
        if left >= 0:
            chosen.append(str(file))
    if not chosen:
        return {}
    command = [sys.executable, "-P", "-m", MODULE]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(chosen),
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return found
