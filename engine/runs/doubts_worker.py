"""The process that looks for doubts about a data set: `python -m engine.runs.doubts_worker KEY`."""

import json
import sys
from typing import Any

from engine.logs import start_logs
from engine.runs.doubts import doubts_work
from engine.spec import DataSpec
from engine.training.reporter import Reporter


def main(key: str) -> int:
    """Looks for doubts as the key's order says, and keeps what was found."""
    doubts_work(key).do(_find)
    return 0


def _find(order: str, reporter: Reporter) -> dict[str, Any]:
    values = json.loads(order)
    from engine.training.doubts import find_doubts

    data = DataSpec.parse(values["data"])
    return find_doubts(data, values["backbone"], reporter).to_dict()


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1]))
