"""A command of Thaw's in a process of its own, for what a page wants and only PyTorch can do."""

import json
import subprocess
import sys
from typing import Any

HELPER_SECONDS = 3600


def run_thaw(*arguments: str) -> dict[str, Any]:
    """Returns the JSON document of a command, once it has ended; `error` where it went wrong.

    Args:
        *arguments: of `thaw`, without `--json`.
    """
    command = [sys.executable, "-P", "-m", "engine.cli", *arguments, "--json"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=HELPER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"thaw {arguments[0]} took more than an hour and was given up."}
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        return {"error": f"thaw {arguments[0]} ended without an answer ({last})."}
    return document
