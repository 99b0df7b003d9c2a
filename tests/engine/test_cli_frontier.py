"""`thaw frontier`, as a person or a script runs it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from engine.models.catalogue import backbone_record
from engine.runs.queue import LOCK_FILE
from engine.runs.store import Store
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from tests.engine.commands import THAW, document, refusal, thaw
from tests.engine.pretend_worker import PretendWorker
from tests.engine.specs import tiny_spec
from tests.engine.waiting import wait_for

SMALL = "torchvision/resnet18"  # five stages
STAGES = backbone_record(SMALL).stages


def by_depth(spec: RunSpec) -> list[float]:
    return [0.4, 0.5 + 0.05 * spec.strategy.last_stages]


@pytest.fixture(autouse=True)
def _no_training(thaw_home: Path) -> Iterator[None]:
    """Holds the supervisor's lock, so that what a test pretends is all that trains."""
    thaw_home.mkdir()
    with FileLock(thaw_home / LOCK_FILE):
        yield


def test_a_frontier_prints_one_document(tiny_folder: Path) -> None:
    arguments = ("--data", str(tiny_folder), "--backbone", SMALL, "--seeds", "2", "--epochs", "2")
    with PretendWorker(by_depth):
        found = document(thaw("frontier", *arguments, "--json"))
    assert [point["depth"] for point in found["points"]] == [0, 1, 2, 3, 4, 5]
    assert [point["stage"] for point in found["points"]][1:] == [s.label for s in STAGES[::-1]]
    assert found["points"][2]["accuracies"] == [0.6, 0.6]
    assert found["best_depth"] == 5
    assert found["sentence"].startswith("Best: all 5 stages (k = 5), 75.0 % right.")
    specs = [run.spec for run in Store().all_runs()]
    assert len(specs) == 12
    assert {spec.strategy.name for spec in specs} == {"partial"}
    assert {spec.optimiser.lr for spec in specs} == {STRATEGIES["partial"].default_lr}
    assert {spec.seed for spec in specs} == {0, 1}
    assert {spec.training.epochs for spec in specs} == {2}


def test_a_frontier_is_a_table_for_people(tiny_folder: Path) -> None:
    with PretendWorker(by_depth):
        shown = thaw("frontier", "--data", str(tiny_folder), "--backbone", SMALL)
    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    [full] = [line for line in lines if line[:2] == ["5", "*"]]
    assert "75.0" in full
    assert "none: the head alone" in shown.stdout
    assert "Best: all 5 stages (k = 5)" in shown.stdout


def test_a_spec_file_is_shared_by_all_depths_but_for_its_strategy(
    tiny_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "spec.json"
    settings = {"model.backbone": SMALL, "strategy.name": "full", "optimiser.lr": 0.0123}
    file.write_text(tiny_spec(tiny_folder, settings).model_dump_json())
    with PretendWorker(by_depth):
        document(thaw("frontier", "--spec", str(file), "--set", "model.dropout=0.3", "--json"))
    specs = [run.spec for run in Store().all_runs()]
    assert {(spec.optimiser.lr, spec.images.size, spec.model.dropout) for spec in specs} == {
        (0.0123, 64, 0.3)
    }
    assert {spec.strategy.name for spec in specs} == {"partial"}


def test_a_depth_that_fails_does_not_hide_the_others(tiny_folder: Path) -> None:
    def fails_at_two(spec: RunSpec) -> list[float] | None:
        return None if spec.strategy.last_stages == 2 else by_depth(spec)

    with PretendWorker(fails_at_two):
        shown = thaw("frontier", "--data", str(tiny_folder), "--backbone", SMALL)
    assert shown.returncode == 1
    assert "failed" in shown.stdout
    assert "Best: all 5 stages (k = 5)" in shown.stdout


def test_ctrl_c_stops_what_is_left_and_prints_what_is_there(tiny_folder: Path) -> None:
    command = [THAW, "frontier", "--data", str(tiny_folder), "--backbone", SMALL]
    with PretendWorker(lambda _: [0.5] * 10_000, epoch_seconds=0.02):
        followed = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
        )
        store = Store()
        wait_for(
            lambda: [run for run in store.all_runs(("running",)) if store.epochs(run.id)],
            60,
            "an epoch",
        )
        followed.send_signal(signal.SIGINT)
        stdout, stderr = followed.communicate(timeout=60)
    assert followed.returncode == 1
    assert "Traceback" not in stderr
    assert {run.status for run in store.all_runs()} == {"stopped"}
    assert sum(bool(store.epochs(run.id)) for run in store.all_runs()) == 1
    assert "No depth is finished yet." in stdout
    assert "50.0 %" in stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Name the folder of images with --data DIR."),
        (("--data", "/not/there"), "There is no folder /not/there"),
        (("--data", "/", "--recipe", "nonsense"), "There is no recipe 'nonsense'"),
    ],
)
def test_what_is_wrong_is_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refusal(thaw("frontier", *arguments))
    assert Store().all_runs() == []
