"""Finders in processes of their own: what is kept, what counts as the same, how they end."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.runs import background, rate_finder_worker
from engine.runs.background import WorkReporter, WorkState
from engine.runs.process import process_started
from engine.runs.rate_finder import (
    MODULE,
    finder_key,
    finder_state,
    finder_work,
    keep_tests,
    plain_spec,
    start_finder,
    stop_finder,
)
from engine.spec import RunSpec
from engine.training.range_test import RangeTest
from tests.engine.specs import tiny_spec

HEAD = RangeTest("head", (1e-7, 1.0), (2.0, 1.0), (2.0, 1.5), 3e-3, "Because.")
BACKBONE = RangeTest("backbone", (), (), (), None, "No stage learns.")
GONE = 2**22 + 1  # no process has this number


@pytest.fixture
def spec(tiny_folder: Path) -> RunSpec:
    return tiny_spec(tiny_folder)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been started, instead of starting it."""
    commands: list[list[str]] = []
    monkeypatch.setattr(
        background, "start_detached", lambda arguments, log: commands.append(arguments)
    )
    return commands


def alive(status: Any = "working", **values: Any) -> WorkState:
    """The state of a finder whose process is this one."""
    born = process_started(os.getpid())
    return WorkState(status, pid=os.getpid(), pid_started=born, **values)


# ---- what counts as the same


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser.lr": 0.5},
        {"optimiser.backbone_lr": 1e-5},
        {"optimiser.schedule": "step", "optimiser.drop_every": 7},
        {"optimiser.warmup": 0.2},
        {"training.epochs": 50},
        {"training.early_stopping": 3},
        {"training.max_minutes": 3.0},
        {"training.ema_decay": 0.9},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_what_the_curves_do_not_depend_on_keeps_them(
    tiny_folder: Path, settings: dict[str, Any]
) -> None:
    assert finder_key(tiny_spec(tiny_folder, settings)) == finder_key(tiny_spec(tiny_folder))


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy.name": "full"},
        {"training.batch_size": 16},
        {"images.size": 96},
        {"optimiser.name": "sgd"},
        {"optimiser.weight_decay": 0.1},
        {"seed": 1},
        {"model.head": "mlp"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_what_the_curves_depend_on_gives_others(
    tiny_folder: Path, settings: dict[str, Any]
) -> None:
    assert finder_key(tiny_spec(tiny_folder, settings)) != finder_key(tiny_spec(tiny_folder))


def test_epochs_count_where_they_decide_which_stages_ever_learn(tiny_folder: Path) -> None:
    def key(epochs: int) -> str:
        settings = {"strategy.name": "gradual", "training.epochs": epochs}
        return finder_key(tiny_spec(tiny_folder, settings))

    assert key(2) != key(3)
    assert key(50) == key(60)


def test_a_plain_spec_is_a_valid_one_with_the_strategys_own_rate(tiny_folder: Path) -> None:
    settings = {"strategy.name": "full", "optimiser.lr": 0.5, "optimiser.schedule": "plateau"}
    plain = plain_spec(tiny_spec(tiny_folder, settings))
    assert RunSpec.parse(plain.model_dump_json()) == plain
    assert plain.optimiser.lr == 3e-4
    assert plain.optimiser.schedule == "cosine"
    assert plain.images.size == 64


# ---- start, follow, stop


def test_there_is_no_state_before_the_first_start(spec: RunSpec) -> None:
    assert finder_state(spec) is None


def test_what_was_found_is_kept(spec: RunSpec) -> None:
    keep_tests(spec, (HEAD, BACKBONE))
    state = finder_state(spec)
    assert state is not None
    assert (state.status, state.tests) == ("finished", (HEAD, BACKBONE))
    assert state.test("head") == HEAD
    assert state.test("backbone") == BACKBONE
    assert abs(state.at - time.time()) < 60


def test_a_start_leaves_the_spec_for_one_process(spec: RunSpec, started: list[list[str]]) -> None:
    key = finder_key(spec)
    start_finder(spec)
    start_finder(spec)
    assert started == [[MODULE, key]]
    assert RunSpec.parse(finder_work(key).order_file.read_text()) == plain_spec(spec)
    state = finder_state(spec)
    assert state is not None
    assert state.is_working


def test_a_finder_at_work_is_not_started_again(spec: RunSpec, started: list[list[str]]) -> None:
    finder_work(finder_key(spec)).keep(alive(done=40, total=100))
    start_finder(spec)
    assert started == []


def test_a_start_puts_earlier_curves_and_an_earlier_stop_away(
    spec: RunSpec, started: list[list[str]]
) -> None:
    keep_tests(spec, (HEAD, BACKBONE))
    stop_finder(spec)
    start_finder(spec)
    state = finder_state(spec)
    assert len(started) == 1
    assert state is not None
    assert state.tests == ()
    assert not finder_work(finder_key(spec)).stop_file.exists()


def test_a_process_that_is_gone_has_failed(spec: RunSpec, started: list[list[str]]) -> None:
    finder_work(finder_key(spec)).keep(WorkState(pid=GONE, pid_started=1.0))
    state = finder_state(spec)
    assert state is not None
    assert state.status == "failed"
    assert state.reason.endswith(f"{finder_work(finder_key(spec)).log_file}.")
    start_finder(spec)
    assert len(started) == 1


def test_a_process_that_never_began_has_failed(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder_work(finder_key(spec)).keep(WorkState())
    assert finder_state(spec).status == "working"  # type: ignore[union-attr]
    monkeypatch.setattr(background, "SILENT_SECONDS", -1.0)
    assert finder_state(spec).status == "failed"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"status": "finished", "result": {"tests": [{}]}}', '{"x": 1}'],
)
def test_a_damaged_file_is_as_good_as_none(spec: RunSpec, text: str) -> None:
    keep_tests(spec, (HEAD, BACKBONE))
    finder_work(finder_key(spec)).state_file.write_text(text)
    assert finder_state(spec) is None


# ---- the process


@pytest.fixture
def prepared(spec: RunSpec) -> str:
    """The key of a finder whose process is about to begin."""
    key = finder_key(spec)
    finder_work(key).order_file.write_text(plain_spec(spec).model_dump_json())
    return key


@pytest.fixture
def _restored_torch() -> Any:
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_restored_torch")
def test_the_process_keeps_what_it_finds(prepared: str, spec: RunSpec) -> None:
    assert rate_finder_worker.main(prepared) == 0
    state = finder_state(spec)
    assert state is not None
    assert state.status == "finished"
    head, backbone = state.tests
    assert len(head.rates) == 100
    assert head.suggestion is not None
    assert "Frozen" in backbone.reason


@pytest.mark.usefixtures("_restored_torch")
def test_the_process_ends_when_asked_to(prepared: str, spec: RunSpec) -> None:
    stop_finder(spec)
    assert rate_finder_worker.main(prepared) == 0
    state = finder_state(spec)
    assert state is not None
    assert (state.status, state.tests, state.reason) == ("stopped", (), "")


def test_a_fault_that_a_person_can_mend_is_its_sentence(tmp_path: Path) -> None:
    spec = tiny_spec(tmp_path / "nowhere")
    key = finder_key(spec)
    finder_work(key).order_file.write_text(spec.model_dump_json())
    rate_finder_worker.main(key)
    state = finder_state(spec)
    assert state is not None
    assert state.status == "failed"
    assert "nowhere" in state.reason
    assert "Error" not in state.reason


def test_any_other_fault_names_its_kind_and_the_log(
    prepared: str,
    spec: RunSpec,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fall_over(*_: Any) -> None:
        raise KeyError("boom")

    monkeypatch.setattr("engine.training.lr_finder.find_for_spec", fall_over)
    rate_finder_worker.main(prepared)
    state = finder_state(spec)
    assert state is not None
    assert state.status == "failed"
    assert "KeyError" in state.reason
    assert str(finder_work(prepared).log_file) in state.reason
    assert "boom" in capfd.readouterr().err


def test_progress_is_kept_with_the_process(prepared: str, spec: RunSpec) -> None:
    writer = WorkReporter(finder_work(prepared))
    writer.emit("progress", 0, 0, {"task": "computing features", "done": 8, "total": 24})
    state = finder_state(spec)
    assert state is not None
    assert (state.task, state.done, state.total) == ("computing features", 8, 24)
    assert writer.state.pid == os.getpid()
    writer.emit("progress", 0, 0, {"task": "ready", "classes": 3})
    assert json.loads(finder_work(prepared).state_file.read_text())["task"] == "computing features"


def test_a_finder_in_a_process_of_its_own(spec: RunSpec) -> None:
    start_finder(spec)
    deadline = time.monotonic() + 200
    seen = set()
    while time.monotonic() < deadline:
        state = finder_state(spec)
        assert state is not None
        seen.add(state.task)
        if not state.is_working:
            break
        time.sleep(0.02)
    assert state.status == "finished", state.reason
    assert "loading PyTorch" in seen
    assert state.tests[0].suggestion is not None
