"""How long the command line takes to say what it can do, against Python itself and torch alone."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 7
THAW = str(Path(sys.executable).parent / "thaw")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    "thaw --help": [THAW, "--help"],
    "thaw train --help": [THAW, "train", "--help"],
}


def main() -> None:
    """Prints median and worst seconds of each command, by turns."""
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            found[name].append(time.perf_counter() - started)
    for name, seconds in found.items():
        print(f"  {name}: {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s")
