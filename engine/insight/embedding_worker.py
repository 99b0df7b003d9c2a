"""The process that lays images out on planes: `python -m engine.insight.embedding_worker KEY`."""

import json
import sys
from typing import Any

from engine.insight.embedding import work_of_key
from engine.logs import start_logs
from engine.runs.store import Store
from engine.training.reporter import Reporter


def main(key: str) -> int:
    """Lays images out as the key's order says; what was found is kept, a file a run."""
    work_of_key(key).do(_find)
    return 0


def _find(order: str, reporter: Reporter) -> dict[str, Any]:
    values = json.loads(order)
    from engine.insight.embed import embed_run

    store = Store()
    try:
        found = [embed_run(store.run(one), values["method"], reporter) for one in values["runs"]]
    finally:
        store.close()
    return {"runs": [one.run_id for one in found]}


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1]))
