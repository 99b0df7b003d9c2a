"""A batch in parts: what is a lack of memory, what is let go of, and how small parts may be."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.errors import TrainingError
from engine.training.device import memory_errors
from engine.training.memory import Judging, Undo, in_parts, is_shortage, learning_note
from tests.engine.short_memory import FULL, RAISED, from_numpy, from_pytorch
from tests.engine.specs import tiny_spec

REAL = """
import resource, sys
from pathlib import Path

import psutil
import torch

from engine.models.classifier import Classifier
from engine.spec import RunSpec
from engine.training.trainer import train
from tests.conftest import Recorder

PER_PICTURE = 1 << 30
real = Classifier.forward
sizes = []

def forward(self, images_BCHW):
    logits = real(self, images_BCHW)
    if torch.is_grad_enabled():
        if not sizes:
            # From here on the system grants room for what two pictures take, and for half of one.
            room = psutil.Process().memory_info().vms + 5 * PER_PICTURE // 2
            resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
        sizes.append(len(images_BCHW))
        torch.empty(len(images_BCHW) * PER_PICTURE, dtype=torch.uint8)
        sizes[-1] = -sizes[-1]
    return logits

Classifier.forward = forward
recorder = Recorder()
spec = RunSpec.parse(Path(sys.argv[1]).read_text())
outcome = train(spec, Path(sys.argv[2]), recorder)
print(outcome.status, sizes[:3], min(sizes[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS bounds memory on Linux alone")
def test_an_allocator_that_really_fails(tiny_folder: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(tiny_spec(tiny_folder, FULL).model_dump_json())
    (tmp_path / "run").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(spec), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Failed with six and with three at once, then never again.
    assert done.stdout.strip() == "finished [6, 3, -2] -2"


def test_what_pytorch_says_is_known() -> None:
    for ask in RAISED:
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            ask()
        assert is_shortage(caught.value)
    assert is_shortage(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"))
    assert not is_shortage(RuntimeError("a leaf Variable that requires grad"))
    assert not is_shortage(ValueError("out of memory"))


def test_what_was_computed_is_let_go_of_before_the_next_try() -> None:
    """The error holds the frames in which memory ran out, and with them all their tensors."""
    alive = 0

    class Large:
        def __init__(self) -> None:
            nonlocal alive
            alive += 1

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    seen: list[int] = []

    def work(parts: int) -> int:
        seen.append(alive)
        held = Large()
        cycle: list[Any] = [held]
        cycle.append(cycle)
        if parts < 8:
            from_pytorch()
        return parts

    assert in_parts(work, 1, 10) == (8, 8)
    assert seen == [0, 0, 0, 0]


def test_parts_are_never_more_than_there_are_pictures() -> None:
    tried: list[int] = []

    def work(parts: int) -> None:
        tried.append(parts)
        from_numpy()

    with pytest.raises(MemoryError):
        in_parts(work, 1, 5)
    assert tried == [1, 2, 4, 5]
    tried.clear()
    with pytest.raises(MemoryError):
        in_parts(work, 64, 5)
    assert tried == [5]


def test_a_part_that_is_too_small_for_a_norm_is_a_lack_of_memory() -> None:
    norm = nn.BatchNorm1d(3)

    def work(parts: int) -> Tensor:
        if parts < 4:
            from_pytorch()
        return torch.cat([norm(part) for part in torch.ones(4, 3).tensor_split(parts)])

    with pytest.raises(MemoryError, match="Expected more than 1 value per channel"):
        in_parts(work, 1, 4)
    # Where nothing was halved it is what it is.
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        in_parts(work, 4, 4)


def test_undo_puts_statistics_and_random_numbers_back() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    undo = Undo(model)
    undo.keep(torch.device("cpu"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.randn(5, 3, 4, 4)
    undo.keep(torch.device("cpu"))
    first = model(images)
    assert not torch.equal(model[1].running_mean, before["1.running_mean"])
    undo()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(model(images), first)


def test_a_judge_remembers_its_parts() -> None:
    sizes: list[int] = []

    def forward(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        if len(batch) > 2:
            from_pytorch()
        return batch * 2

    judging = Judging()
    batch = torch.arange(6.0)
    for _ in range(2):
        assert torch.equal(judging(forward, batch), batch * 2)
    assert sizes == [6, 3, 2, 2, 1, 1, 2, 2, 1, 1]
    # A last batch that is smaller takes no parts away from the others.
    judging(forward, batch[:1])
    assert judging.parts == 4


def test_norms_that_stand_still_are_not_spoken_of() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3)).eval()
    assert learning_note(model, 8, 1, 8) == (
        "Memory ran out with 8 pictures at once, so each step is computed in 8 parts of at most 1 "
        "picture from here on; it moves the weights by the gradient of the whole batch as before."
    )


def test_errors_of_other_kinds_pass_through() -> None:
    with pytest.raises(RuntimeError, match=r"^something else$"), memory_errors():
        raise RuntimeError("something else")
    with pytest.raises(TrainingError, match="ran out of memory"), memory_errors():
        from_numpy()
