"""Which packages come with modules, as a fresh process sees it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
# All in one process: most of the time goes into starting one and loading what all of them share.
IMPORT_ALL = """
import importlib, json, sys
modules, packages = map(json.loads, sys.argv[1:])
first = {}
for module in modules:
    importlib.import_module(module)
    for package in packages:
        if package in sys.modules:
            first.setdefault(package, module)
print(json.dumps(first))
"""


def first_to_load(packages: Sequence[str], modules: Sequence[str]) -> dict[str, str]:
    """Returns of those packages that modules load, imported one after another, which loads it."""
    found: dict[str, str] = printed_by(IMPORT_ALL, json.dumps(modules), json.dumps(packages))
    return found


def printed_by(code: str, *arguments: str) -> Any:
    """Returns the document that code prints in its last line, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
