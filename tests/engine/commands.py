"""Runs `thaw` as a person or a script does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

THAW = str(Path(sys.executable).parent / "thaw")
TINY = ["--image-size", "64", "--batch-size", "8", "--fit", "squash", "--device", "cpu"]


def thaw(*arguments: str, cwd: Path | None = None, timeout: float = 120, **environment: str) -> Any:
    """Runs `thaw`; the process has `stdout`, `stderr` and `returncode`."""
    return subprocess.run(
        [THAW, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        env={**os.environ, **environment},
        check=False,
    )


def document(process: Any) -> Any:
    """The one JSON document on stdout, of a command that went well."""
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def refusal(process: Any) -> str:
    """The sentence on stderr of a command that was refused."""
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert process.stderr.startswith("thaw: ")
    assert process.stderr.count("\n") == 1
    return str(process.stderr).strip()
