"""The process of one learning-rate finder: `python -m engine.runs.rate_finder_worker KEY`."""

import sys
from typing import Any

from engine.logs import start_logs
from engine.runs.rate_finder import finder_work, found_tests
from engine.spec import RunSpec
from engine.training.reporter import Reporter


def main(key: str) -> int:
    """Tries learning rates as the key's spec says, and keeps what was found."""
    finder_work(key).do(_find)
    return 0


def _find(spec: str, reporter: Reporter) -> dict[str, Any]:
    run_spec = RunSpec.parse(spec)
    from engine.training.lr_finder import find_for_spec

    return found_tests(find_for_spec(run_spec, reporter))


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1]))
