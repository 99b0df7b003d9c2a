"""What else computes on a GPU: folded norms, rate finder, instant head, soups, runs, speeds."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.data.manifest import Manifest
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.soup import make_soup
from engine.models.backbone import build_backbone
from engine.models.folding import Folds
from engine.runs import measure, worker
from engine.runs.store import Store
from engine.training.checkpoint import load_checkpoint
from engine.training.device import wait_for
from engine.training.instant import HeadBench
from engine.training.lr_finder import Limits, find_both
from engine.training.speeds import FORWARD, TRAIN_FULL, known_speeds
from tests.conftest import Recorder
from tests.engine.gpu import FULL, GPU, NEEDS_GPU, Bench
from tests.engine.specs import tiny_spec

pytestmark = NEEDS_GPU


@pytest.fixture
def bench(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tiny_folder, tmp_path_factory)


@pytest.fixture
def store() -> Iterator[Store]:
    handler = signal.getsignal(signal.SIGTERM)
    opened = Store()
    yield opened
    opened.close()
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("name", "num_norms"), [("efficientnet_lite0", 49), ("torchvision/resnet18", 20)]
)
@torch.no_grad()
def test_as_many_norms_are_folded_as_on_a_cpu(name: str, num_norms: int) -> None:
    backbone = build_backbone(name, 64, "random").to("cuda", memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    images = images.to("cuda", memory_format=torch.channels_last)
    backbone.train()(images)
    backbone.eval()
    plain = backbone(images)
    folds = Folds(backbone, images[:2])
    assert len([one for one in backbone.modules() if isinstance(one, nn.BatchNorm2d)]) == num_norms
    assert len(folds.pairs) == num_norms
    with folds.applied(backbone):
        folded = backbone(images)
    torch.testing.assert_close(folded, plain, rtol=0.0, atol=1e-2 * float(plain.abs().max()))
    assert torch.equal(backbone(images), plain)


def test_the_rate_finder_leaves_model_and_generators_as_they_were(bench: Bench) -> None:
    session = bench.session(FULL | {"model.dropout": 0.2})
    before = {name: tensor.clone() for name, tensor in session.model.state_dict().items()}
    torch.manual_seed(7)
    states = torch.get_rng_state(), torch.cuda.get_rng_state()
    head, backbone = find_both(session, Limits(num_steps=40))
    assert len(head.losses) > 10
    assert len(backbone.losses) > 10
    after = session.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(), states[1])


def test_an_instant_head_has_the_numbers_of_a_run(bench: Bench, tiny_folder: Path) -> None:
    settings = {"training.epochs": 6, "model.dropout": 0.2}
    run = bench.train(settings)
    with HeadBench() as heads:
        heads.train(tiny_spec(tiny_folder, GPU | settings | {"seed": 3}), Recorder())
        recorder = Recorder()
        head = heads.train(tiny_spec(tiny_folder, GPU | settings), recorder)
    assert head.best_val_accuracy == run.outcome.best_val_accuracy
    losses = [event.values["train/loss"] for event in recorder.of_kind("epoch")]
    assert losses == run.series("train/loss")


def test_runs_of_a_gpu_are_averaged(store: Store, tiny_folder: Path) -> None:
    specs = [("one", FULL), ("other", FULL | {"optimiser.lr": 5e-4})]
    runs = store.add_runs([(name, tiny_spec(tiny_folder, GPU | more)) for name, more in specs])
    for run in runs:
        store.set_status(run.id, "running")
        worker.main(run.id)
        assert store.run(run.id).status == "finished", store.run(run.id).reason
    soup = make_soup(store, [run.id for run in runs])
    model, header = load_checkpoint(Path(soup.checkpoint))
    assert header.val_accuracy == soup.val_accuracy
    one, other = (
        load_checkpoint(run_folder(run.id) / CHECKPOINT_FILE)[0].state_dict() for run in runs
    )
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (one[name] + other[name]) / 2)


def test_a_run_that_lacks_memory_fails_with_a_sentence(store: Store, tiny_folder: Path) -> None:
    settings = GPU | FULL | {"images.size": 512, "training.batch_size": 16}
    [run] = store.add_runs([("large", tiny_spec(tiny_folder, settings))])
    store.claim_next(1, "here")
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties().total_memory
    torch.cuda.set_per_process_memory_fraction(300 * 2**20 / total)
    try:
        worker.main(run.id)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    ended = store.run(run.id)
    assert ended.status == "failed"
    assert "ran out of memory; choose a smaller training.batch_size" in ended.reason


def test_a_measurement_counts_all_that_was_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[torch.device] = []

    def note(device: torch.device) -> None:
        waits.append(device)
        wait_for(device)

    monkeypatch.setattr(measure, "wait_for", note)
    assert measure.main("efficientnet_lite0") == 0
    assert [device.type for device in waits] == ["cuda"] * 4
    speeds = known_speeds()
    forward, train = (speeds[f"efficientnet_lite0/{work}"] for work in (FORWARD, TRAIN_FULL))
    assert forward.images_per_second > train.images_per_second > 0


def test_thaw_train_goes_from_start_to_end(store: Store, tiny_folder: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "engine.cli", "train", "--json", "--data", str(tiny_folder)),
            *("--strategy", "full", "--epochs", "3", "--image-size", "64", "--batch-size", "8"),
            *("--lr", "0.001", "--set", "training.precision=mixed"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert store.run(told["run_id"]).summary["device"] == torch.cuda.get_device_name()
    folder = run_folder(told["run_id"])
    log = (folder / "worker.log").read_text()
    assert "Traceback" not in log
    assert "Warning" not in log, log
    model, header = load_checkpoint(folder / CHECKPOINT_FILE)
    assert header.epoch == told["best_epoch"]
    manifest = Manifest.from_file(folder / "manifest.json")
    assert model.head[1].out_features == len(manifest.classes)
