"""Paths in specs are absolute, so that a run means the same wherever it is started from."""

import os
import re
from pathlib import Path

# As Windows has them: a run from there keeps its own here.
_FOREIGN = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def absolute_path(value: str, kind: str) -> str:
    """Returns an absolute path, `~` replaced by the home folder.

    Raises:
        ValueError: there is no such home folder.
    """
    if os.name != "nt" and _FOREIGN.match(value):
        return value
    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError as error:
        raise ValueError(f"must be the path of a {kind}; there is no such home folder") from error
