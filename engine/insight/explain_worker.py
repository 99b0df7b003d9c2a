"""The process that finds where models look: `python -m engine.insight.explain_worker KEY`."""

import sys
from typing import Any

from engine.insight.explaining import explain_work, read_order
from engine.logs import start_logs
from engine.training.reporter import Reporter


def main(key: str) -> int:
    """Finds the maps that the key's order asks for; they are kept, each by itself."""
    explain_work(key).do(_find)
    return 0


def _find(order: str, reporter: Reporter) -> dict[str, Any]:
    from engine.insight.saliency import explain

    return {"maps": len(explain(read_order(order), reporter))}


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1]))
