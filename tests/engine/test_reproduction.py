"""The commands of a report really train its runs anew, whatever people called them."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from engine.insight.compare import RunReport, report
from engine.insight.reproduction import comparison_commands, reproduction, script
from engine.runs.store import Store
from engine.spec import Act, RunSpec
from tests.engine.commands import document, thaw
from tests.engine.specs import tiny_spec
from tests.pretend import act_event

NAME = 'it\'s $(touch evil) `touch evil` "quoted"\nEND_OF_SPEC'


@pytest.mark.slow
def test_the_script_trains_the_same_numbers_in_a_store_of_its_own(
    tiny_folder: Path, tmp_path: Path, thaw_home: Path
) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(tiny_spec(tiny_folder, {"seed": 3}).model_dump_json())
    first = document(thaw("train", "--spec", str(spec), "--name", NAME, "--json"))
    store = Store()
    made = reproduction(report(store, store.run(first["run_id"])))
    store.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "again.sh").write_text(script([made]), encoding="utf-8")
    done = subprocess.run(
        ["sh", "again.sh"],
        cwd=elsewhere,
        env={
            **os.environ,
            "THAW_HOME": str(tmp_path / "new-home"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in elsewhere.iterdir()) == [
        "again.sh",
        made.file,
        "report-again.html",
    ]
    told = thaw("runs", "--json", THAW_HOME=str(tmp_path / "new-home"))
    [again] = document(told)
    assert again["name"] == made.name
    shown = document(thaw("show", again["run_id"], "--json", THAW_HOME=str(tmp_path / "new-home")))
    keys = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_f1", "lr")
    assert [[epoch[key] for key in keys] for epoch in shown["epochs"]] == [
        [epoch[key] for key in keys] for epoch in first["epochs"]
    ]
    assert shown["fingerprint"] == first["fingerprint"]


def test_a_steered_run_is_replayed(tmp_path: Path) -> None:
    one = steered(tmp_path)
    made = reproduction(one)
    assert made.here == f"thaw replay {one.run.id}"
    assert len(RunSpec.parse(json.loads(made.spec_json)).steering) == 1
    assert made.to_dict()["spec"]["steering"]


def steered(folder: Path) -> RunReport:
    store = Store()
    [run] = store.add_runs([("Steered", tiny_spec(folder))])
    act = Act.parse({"step": 2, "kind": "lr", "target": "head", "factor": 0.5})
    store.append(run.id, [act_event(1, 2, act)])
    found = report(store, run)
    store.close()
    return found


def test_commands_name_every_run_and_quote_what_people_typed(tmp_path: Path) -> None:
    store = Store()
    runs = store.add_runs([(NAME, tiny_spec(tmp_path)), ("b", tiny_spec(tmp_path))])
    reports = [report(store, run) for run in runs]
    store.close()
    ids = f"{runs[0].id} {runs[1].id}"
    compare, write = comparison_commands(reports)
    assert compare == f"thaw compare {ids}"
    assert write == f"thaw report {ids} --out report.html"
    assert comparison_commands(reports[:1]) == [f"thaw report {runs[0].id} --out report.html"]
    words = shlex.split(reproduction(reports[0]).anywhere)
    assert words[:3] == ["thaw", "train", "--spec"]
    assert words[5] == " ".join(NAME.split())
