"""Reads states in full, for who must not load PyTorch: `python -m ...`; files come on stdin."""

import json
import sys
from pathlib import Path


def main() -> int:
    """Prints which of the files are damaged, as JSON; returns the exit code."""
    from safetensors import SafetensorError

    from engine.training.state import read_state, reason_of

    damaged: dict[str, str] = {}
    for name in json.load(sys.stdin):
        try:
            read_state(Path(name))
        except FileNotFoundError:
            continue
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            damaged[name] = reason_of(error)
    print(json.dumps(damaged))
    return 0


if __name__ == "__main__":
    sys.exit(main())
