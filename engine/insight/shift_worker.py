"""The process that judges runs under shift: `python -m engine.insight.shift_worker KEY`."""

import json
import sys
from typing import Any

from engine.insight.shift_tests import maker_of_tests
from engine.insight.shift_work import ASK_SECONDS, shift_work
from engine.logs import start_logs
from engine.runs.store import Store
from engine.training.reporter import Reporter


def main(key: str) -> int:
    """Judges as the key's order says."""
    shift_work(key).do(_judge)
    return 0


def _judge(order: str, reporter: Reporter) -> dict[str, Any]:
    values = json.loads(order)
    from engine.insight.shifted import judge_runs

    store = Store()
    runs = [store.run(run_id) for run_id in values["runs"]]
    test_of = maker_of_tests(values["folder"])
    ask_seconds = ASK_SECONDS if values["asks"] else None
    return {"seconds_left": judge_runs(runs, test_of, values["images"], reporter, ask_seconds)}


if __name__ == "__main__":
    start_logs("helper")
    sys.exit(main(sys.argv[1]))
