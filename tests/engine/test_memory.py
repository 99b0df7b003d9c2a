"""Memory that runs out: the step is done again in parts, to the numbers that it would have had."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from typer.testing import CliRunner

import engine.cli.runs  # noqa: F401, registers its commands
from engine.cli.app import app
from engine.cli.follow import follow
from engine.errors import TrainingError
from engine.events import note_of
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.compare import report
from engine.models.classifier import Classifier
from engine.models.cut import Cut
from engine.runs import worker
from engine.runs.store import Store
from engine.training import features, state
from engine.training.setting_up import set_up
from engine.training.trainer import train
from tests.conftest import Recorder
from tests.engine.short_memory import FULL, RAISED, from_pytorch
from tests.engine.specs import tiny_spec
from tests.engine.test_resume import Cut as CutOff
from tests.engine.test_resume import CutOffError


def short_of(
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    learning: bool = True,
    ask: Callable[[], None] = from_pytorch,
) -> list[int]:
    """Has passes through a model fail at their end for more pictures than `most`.

    Returns the sizes that were tried.
    """
    sizes: list[int] = []
    real = Classifier.forward

    def forward(self: Classifier, images_BCHW: Tensor) -> Tensor:
        logits = real(self, images_BCHW)
        if torch.is_grad_enabled() == learning:
            sizes.append(len(images_BCHW))
            if len(images_BCHW) > most:
                ask()
        return logits

    monkeypatch.setattr(Classifier, "forward", forward)
    return sizes


def trained(folder: Path, run: Path, settings: Mapping[str, Any]) -> tuple[Recorder, Any]:
    recorder = Recorder()
    run.mkdir(exist_ok=True)
    outcome = train(tiny_spec(folder, dict(settings)), run, recorder)
    assert outcome.status == "finished"
    return recorder, load_file(run / CHECKPOINT_FILE)


def numbers(recorder: Recorder) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in event.values.items() if k.startswith(("train/", "val/", "lr/"))}
        for event in recorder.events
        if event.kind in ("step", "epoch")
    ]


def notes(recorder: Recorder) -> list[str]:
    return [note for event in recorder.events if (note := note_of(event))]


@pytest.mark.parametrize("ask", RAISED)
def test_a_step_without_memory_is_done_again_as_if_in_parts_from_the_beginning(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], None]
) -> None:
    by_hand = trained(tiny_folder, tmp_path / "by hand", FULL | {"training.accumulation": 4})
    sizes = short_of(monkeypatch, most=2, ask=ask)
    short = trained(tiny_folder, tmp_path / "short", FULL)
    # Twice too many, then never again.
    assert sizes[:2] == [6, 3]
    assert max(sizes[2:]) == 2
    assert numbers(short[0]) == numbers(by_hand[0])
    assert all(torch.equal(short[1][name], tensor) for name, tensor in by_hand[1].items())
    assert notes(short[0]) == [
        "Memory ran out with 6 pictures at once, so each step is computed in 4 parts of at most 2 "
        "pictures from here on; it moves the weights by the gradient of the whole batch as before, "
        "but BatchNorm sees only a part at a time."
    ]


def test_memory_that_runs_out_later_leaves_the_steps_before_as_they_were(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers are those of steps taken whole up to there, and in parts from there on."""
    settings = FULL | {"training.epochs": 3}
    calls = 0
    real = Classifier.forward

    def forward(self: Classifier, images_BCHW: Tensor) -> Tensor:
        nonlocal calls
        logits = real(self, images_BCHW)
        if torch.is_grad_enabled():
            calls += 1
            if calls > 4 and len(images_BCHW) > 3:
                from_pytorch()
        return logits

    whole = trained(tiny_folder, tmp_path / "whole", settings)
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "forward", forward)
        short = trained(tiny_folder, tmp_path / "short", settings)
    steps = [[one.values["train/loss"] for one in it[0].of_kind("step")] for it in (whole, short)]
    assert steps[0][:4] == steps[1][:4]
    assert steps[0][4] != steps[1][4]
    assert steps[0] == pytest.approx(steps[1], abs=0.5)
    [event] = [event for event in short[0].events if note_of(event)]
    assert (event.epoch, event.step) == (2, 5)


def test_a_resumed_run_keeps_its_parts(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(state, "MOST_SHARE", 1e9)
    settings = FULL | {"training.epochs": 3}
    (tmp_path / "cut").mkdir()
    with monkeypatch.context() as patch:
        short_of(patch, most=3)
        unbroken = trained(tiny_folder, tmp_path / "unbroken", settings)
        first = CutOff(at_step=8)
        with pytest.raises(CutOffError):
            train(tiny_spec(tiny_folder, settings), tmp_path / "cut", first)
    # There is memory again, and still the numbers are the same.
    again = Recorder()
    train(tiny_spec(tiny_folder, settings), tmp_path / "cut", again)
    assert numbers(again) == numbers(unbroken[0])[-len(numbers(again)) :]
    assert not notes(again)
    weights = load_file(tmp_path / "cut" / CHECKPOINT_FILE)
    assert all(torch.equal(weights[name], tensor) for name, tensor in unbroken[1].items())


def test_too_little_for_one_picture_is_a_sentence(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = short_of(monkeypatch, most=0)
    with pytest.raises(TrainingError, match=r"^This machine \(\d+ GiB\) ran out of memory; choose"):
        trained(tiny_folder, tmp_path / "run", FULL)
    assert sizes == [6, 3, 2, 1]


def test_other_errors_are_not_taken_for_it(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    sizes = short_of(monkeypatch, most=0, ask=other)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trained(tiny_folder, tmp_path / "run", FULL)
    assert len(sizes) == 1


def test_a_head_on_features_is_learnt_in_parts_too(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"model.dropout": 0.3}
    by_hand = trained(tiny_folder, tmp_path / "by hand", settings | {"training.accumulation": 2})
    real = nn.CrossEntropyLoss.forward

    def forward(self: nn.CrossEntropyLoss, logits: Tensor, targets: Tensor) -> Tensor:
        if torch.is_grad_enabled() and len(logits) > 3:
            from_pytorch()
        return real(self, logits, targets)

    monkeypatch.setattr(nn.CrossEntropyLoss, "forward", forward)
    short = trained(tiny_folder, tmp_path / "short", settings)
    assert numbers(short[0]) == numbers(by_hand[0])
    [note] = notes(short[0])
    assert note.endswith("by the gradient of the whole batch as before.")


def test_classes_that_weigh_more_do_so_in_parts_too(tiny_folder: Path, tmp_path: Path) -> None:
    settings = FULL | {
        "training.class_balance": "loss",
        "training.mixup": 0.0,
        "training.label_smoothing": 0.1,
    }
    session = set_up(tiny_spec(tiny_folder, settings), tmp_path, Recorder(), 0.0)
    criterion = session.learner.criterion
    assert isinstance(criterion, nn.CrossEntropyLoss)
    criterion.weight = torch.tensor([5.0, 1.0, 0.2])
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 3), torch.tensor([0, 1, 2, 0, 0, 2, 2])
    learner = session.learner
    learner.precision.backward = lambda loss: None  # type: ignore[method-assign]
    learner.accumulation = 3
    loss, _ = learner.learn(lambda part: part, logits, labels)
    assert float(loss) == pytest.approx(float(criterion(logits, labels)), rel=1e-5)


def test_judging_without_memory_gives_the_same(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(tiny_folder, tmp_path / "whole", FULL)
    sizes = short_of(monkeypatch, most=3, learning=False)
    short = trained(tiny_folder, tmp_path / "short", FULL)
    assert max(sizes[1:]) <= 3
    for ours, theirs in zip(numbers(short[0]), numbers(whole[0]), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert notes(short[0]) == [
        "Memory ran out while 6 pictures were judged at once, so 3 pictures at most are from here "
        "on; that changes no result by more than rounding."
    ]


def test_features_without_memory_are_computed_for_fewer_pictures(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept apart from those of whole batches, whose last digits may differ."""
    keys: list[int] = []
    real_key, real = features.features_key, Cut.before

    def before(self: Cut, images_BCHW: Tensor) -> Tensor:
        found = real(self, images_BCHW)
        if len(images_BCHW) > 8:
            from_pytorch()
        return found

    def features_key(*arguments: Any) -> dict[str, Any]:
        key = real_key(*arguments)
        keys.append(key["batch_size"])
        return key

    monkeypatch.setattr("engine.training.feeding.features_key", features_key)
    monkeypatch.setattr(Cut, "before", before)
    short = trained(tiny_folder, tmp_path / "short", {})
    assert keys == [32, 16, 8]
    [note] = notes(short[0])
    assert "so they are for 8 pictures at once" in note
    monkeypatch.setattr(Cut, "before", real)
    whole = trained(tiny_folder, tmp_path / "whole", {})
    assert keys[3:] == [32]
    for ours, theirs in zip(numbers(short[0]), numbers(whole[0]), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_resumed_run_takes_the_features_that_it_had(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LEAST_SECONDS", 0.0)
    real = Cut.before

    def before(self: Cut, images_BCHW: Tensor) -> Tensor:
        if len(images_BCHW) > 8:
            from_pytorch()
        return real(self, images_BCHW)

    with monkeypatch.context() as patch:
        patch.setattr(Cut, "before", before)
        with pytest.raises(CutOffError):
            train(tiny_spec(tiny_folder), tmp_path, CutOff(at_step=4))
    again = Recorder()
    train(tiny_spec(tiny_folder), tmp_path, again)
    found = [one.values["features_found"] for one in again.events if "features_found" in one.values]
    assert found == [True]


def test_the_summary_says_it(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    [run] = store.add_runs([("short", tiny_spec(tiny_folder, FULL))])
    store.claim_next(1, "here")
    short_of(monkeypatch, most=3)
    worker.main(run.id)
    ended = store.run(run.id)
    assert ended.status == "finished", ended.reason
    [note] = ended.summary["memory_notes"]
    assert note.startswith("Memory ran out with 6 pictures at once")
    assert report(store, ended).to_dict()["memory_notes"] == [note]
    shown = CliRunner().invoke(app, ["show", run.id])
    assert note in " ".join(shown.output.split())


def test_a_run_that_begins_anew_forgets_what_was_told(tiny_folder: Path) -> None:
    store = Store()
    [run] = store.add_runs([("anew", tiny_spec(tiny_folder, {"training.epochs": 1}))])
    store.add_to_summary(run.id, {"memory_notes": ["Memory ran out."]})
    folder = run_folder(run.id)
    folder.mkdir(parents=True)
    (folder / "state-000002.safetensors").write_bytes(b"nothing")
    store.claim_next(1, "here")
    worker.main(run.id)
    ended = store.run(run.id)
    assert ended.status == "finished", ended.reason
    assert ended.summary["memory_notes"] == []


def test_the_command_line_tells_what_befell_a_run(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it happens, and again at the end."""
    store = Store()
    [run] = store.add_runs([("short", tiny_spec(tiny_folder, FULL))])
    store.set_status(run.id, "running")
    store.append(
        run.id,
        [
            (1.0, "progress", 0, 0, {"task": "state", "state_note": "A state is damaged."}),
            (2.0, "progress", 1, 1, {"task": "memory", "memory_note": "Memory ran out."}),
        ],
    )
    store.set_status(run.id, "finished", summary={"memory_notes": ["Memory ran out."]})
    follow(store, lambda: store.run(run.id))
    lines = capsys.readouterr().err.splitlines()
    assert lines.count("A state is damaged.") == 1
    assert lines.count("Memory ran out.") == 2
