"""A network that is compiled before it trains."""

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import TrainingError
from engine.training.trainer import train
from tests.conftest import Recorder
from tests.engine.specs import tiny_spec

FULL = {"strategy.name": "full", "training.epochs": 1}
ON = FULL | {"training.compile": True}


def losses(folder: Path, out: Path, settings: dict[str, Any]) -> list[float]:
    out.mkdir()
    recorder = Recorder()
    train(tiny_spec(folder, settings), out, recorder)
    [epoch] = recorder.of_kind("epoch")
    return [float(epoch.values[name] or 0) for name in ("train/loss", "val/loss")]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()


def test_it_is_traced_and_gives_the_same(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = losses(tiny_folder, tmp_path / "plain", FULL)
    compiled_sizes: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        compiled_sizes.append(len(list(graph.graph.nodes)))
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    compiled = losses(tiny_folder, tmp_path / "compiled", ON)
    assert max(compiled_sizes) > 100
    assert compiled == pytest.approx(plain, rel=1e-4)


def test_where_it_cannot_be_compiled_the_person_is_told(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        raise RuntimeError("no compiler is here")

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    with pytest.raises(TrainingError, match=r"cannot be compiled here \(.*no compiler is here"):
        losses(tiny_folder, tmp_path / "run", ON)


def test_features_that_are_kept_need_no_compiling(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("compiled")

    monkeypatch.setattr(torch._dynamo, "optimize", refuse)
    losses(tiny_folder, tmp_path / "run", ON | {"strategy.name": "frozen"})


@pytest.mark.slow
def test_the_default_compiler_gives_the_same(tiny_folder: Path, tmp_path: Path) -> None:
    settings = {"model.backbone": "torchvision/resnet18", "model.weights": "random"}
    # Adam makes much of the smallest gradients, and so of how a sum is rounded.
    settings |= {"optimiser.name": "sgd", "optimiser.lr": 1e-3}
    plain = losses(tiny_folder, tmp_path / "plain", FULL | settings)
    compiled = losses(tiny_folder, tmp_path / "compiled", ON | settings)
    assert compiled == pytest.approx(plain, rel=1e-2)
