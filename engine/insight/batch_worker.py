"""The process that checks a new batch: `python -m engine.insight.batch_worker KEY`."""

import json
import sys
from typing import Any

from engine.insight.batch_work import batch_check, batch_work
from engine.logs import start_logs
from engine.runs.store import Store
from engine.training.reporter import Reporter


def main(key: str) -> int:
    """Checks a batch as the key's order says; what was found is kept."""
    batch_work(key).do(_find)
    return 0


def _find(order: str, reporter: Reporter) -> dict[str, Any]:
    values = json.loads(order)
    from engine.insight.batch_look import check_batch

    store = Store()
    try:
        run = store.run(values["run"])
    finally:
        store.close()
    check = batch_check(run, values["folder"], values["answers"])
    check_batch(check, reporter)
    return {"key": check.key}


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1]))
