"""The contenders of the benchmarks do train, so that their times are those of work."""

from pathlib import Path

import pytest

from tests.benchmarks.contenders import TITLES, Task, is_installed, measure, run


@pytest.mark.parametrize("name", TITLES)
def test_a_contender_trains_and_validates(tiny_folder: Path, name: str) -> None:
    if not is_installed(name):
        pytest.skip(f"{name} is not installed: pip install '.[peers]'")
    timing = run(name, Task(str(tiny_folder), "frozen", size=64, batch_size=8))
    assert len(timing.epochs) == 2
    assert all(seconds > 0 for seconds in (timing.built, *timing.epochs))
    assert timing.seconds(20) == pytest.approx(timing.built + 10 * sum(timing.epochs))
    if name in ("thaw", "plain", "tuned", "timm"):
        assert all(0 <= accuracy <= 1 for accuracy in timing.accuracies)
        assert len(timing.accuracies) == 2


@pytest.mark.parametrize("strategy", ["partial", "full"])
def test_the_plain_loop_does_what_thaw_does(tiny_folder: Path, strategy: str) -> None:
    task = Task(str(tiny_folder), strategy, 1, 3, 64, 32, "efficientnet_lite0", "pretrained")
    # One batch an epoch, so that its order is of no matter.
    ours, theirs = (run(name, task).accuracies for name in ("thaw", "plain"))
    assert ours == pytest.approx(theirs, abs=0.34)


def test_a_contender_in_a_process_of_its_own_says_what_went_wrong(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no such folder|There is no folder|nowhere"):
        measure("thaw", Task(str(tmp_path / "nowhere"), size=64))
