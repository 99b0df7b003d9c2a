"""Blends and averages of weights: the ends come back bit for bit, and nothing else is moved."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.errors import WeightsError
from engine.training.curves import CURVE_FILE, InterpolationCurve, read_curve, save_curve
from engine.training.interpolate import ALPHAS, average, blend, interpolation_curve


def network(seed: int) -> nn.Sequential:
    """A network with all that a state dict holds: weights, running statistics and a count."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model(torch.randn(8, 3))
    return model


def state(seed: int) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network(seed).state_dict().items()}


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two state dicts are equal to the last bit, signs of zero included."""
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype
        and one[name].numpy().tobytes() == other[name].numpy().tobytes()
        for name in one
    )


@pytest.fixture
def start() -> dict[str, Tensor]:
    return state(0)


@pytest.fixture
def end() -> dict[str, Tensor]:
    return state(1) | {"1.num_batches_tracked": torch.tensor(7)}


# ---- blend


def test_the_ends_come_back_bit_for_bit(start: dict[str, Tensor], end: dict[str, Tensor]) -> None:
    start["0.weight"][0, 0] = -0.0
    end["0.weight"][0, 1] = -0.0
    count = {"1.num_batches_tracked": end["1.num_batches_tracked"]}
    assert same_bits(blend(start, end, 0.0), start | count)
    assert same_bits(blend(start, end, 1.0), end)


def test_a_blend_is_the_weighted_mean() -> None:
    start = {"weight": torch.tensor([1.0, -2.0, 8.0])}
    end = {"weight": torch.tensor([3.0, 2.0, 8.0])}
    assert blend(start, end, 0.5)["weight"].tolist() == [2.0, 0.0, 8.0]
    assert blend(start, end, 0.25)["weight"].tolist() == [1.5, -1.0, 8.0]


def test_running_statistics_are_blended_and_counts_are_those_of_the_end(
    start: dict[str, Tensor], end: dict[str, Tensor]
) -> None:
    middle = blend(start, end, 0.5)
    for name in ("1.running_mean", "1.running_var"):
        assert torch.allclose(middle[name], (start[name] + end[name]) / 2)
    assert middle["1.num_batches_tracked"].item() == 7
    assert middle["1.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("alpha", ALPHAS)
def test_what_did_not_move_stays_at_every_alpha(alpha: float) -> None:
    weights = {"weight": torch.randn(1000)}
    assert same_bits(blend(weights, weights, alpha), weights)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_each_tensor_keeps_its_own_dtype(dtype: torch.dtype) -> None:
    ends = [{"weight": torch.full((2,), value, dtype=dtype)} for value in (0.0, 1.0)]
    middle = blend(ends[0], ends[1], 0.5)["weight"]
    assert middle.dtype == dtype
    assert middle.tolist() == [0.5, 0.5]


def test_a_blend_shares_no_memory_with_its_ends(
    start: dict[str, Tensor], end: dict[str, Tensor]
) -> None:
    before = [start["0.bias"].clone(), end["0.bias"].clone()]
    for alpha in (0.0, 0.5, 1.0):
        blend(start, end, alpha)["0.bias"].fill_(9.0)
    assert torch.equal(start["0.bias"], before[0])
    assert torch.equal(end["0.bias"], before[1])


def test_other_names_are_refused(start: dict[str, Tensor], end: dict[str, Tensor]) -> None:
    end["3.weight"] = torch.zeros(2)
    with pytest.raises(WeightsError, match=r"only one of them has 3\.weight"):
        blend(start, end, 0.5)
    with pytest.raises(WeightsError, match=r"only one of them has 3\.weight"):
        average([start, end])


def test_other_shapes_are_refused(start: dict[str, Tensor], end: dict[str, Tensor]) -> None:
    end["2.weight"] = torch.zeros(5, 4)
    with pytest.raises(WeightsError, match=r"shapes differ in 2\.weight \(2×4 and 5×4\)"):
        blend(start, end, 0.5)
    with pytest.raises(WeightsError, match=r"shapes differ in 2\.weight \(2×4 and 5×4\)"):
        average([start, end])


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_outside_the_ends_is_refused(start: dict[str, Tensor], alpha: float) -> None:
    with pytest.raises(WeightsError, match=r"alpha is .* from 0 to 1"):
        blend(start, start, alpha)


# ---- average


def test_an_average_is_the_mean() -> None:
    states = [{"weight": torch.tensor([value, -value])} for value in (1.0, 2.0, 6.0)]
    assert average(states)["weight"].tolist() == [3.0, -3.0]


def test_an_average_of_equals_is_what_they_are(end: dict[str, Tensor]) -> None:
    assert same_bits(average([end, end, end]), end)
    assert same_bits(average([end]), end)


def test_an_average_is_added_up_finely() -> None:
    # In float32 the small one would be lost beside the large one, and in float16 both overflow.
    small = [{"weight": torch.tensor([value])} for value in (1e8, 1.0, -1e8)]
    assert average(small)["weight"].item() == pytest.approx(1 / 3)
    large = [{"weight": torch.tensor([6e4], dtype=torch.float16)}] * 3
    assert average(large)["weight"].item() == large[0]["weight"].item()


def test_an_average_changes_none_of_its_members() -> None:
    members = [{"weight": torch.ones(2, dtype=torch.float64) * value} for value in (1.0, 3.0)]
    average(members)["weight"].fill_(9.0)
    assert [member["weight"].tolist() for member in members] == [[1.0, 1.0], [3.0, 3.0]]


def test_an_average_reads_one_at_a_time(start: dict[str, Tensor], end: dict[str, Tensor]) -> None:
    listed = average([start, end])
    assert same_bits(average(iter([start, end])), listed)
    assert listed["1.num_batches_tracked"].item() == start["1.num_batches_tracked"].item()


def test_an_average_of_nothing_is_refused() -> None:
    with pytest.raises(WeightsError, match="no weights to average"):
        average([])


# ---- the curve


def test_the_curve_judges_every_blend(start: dict[str, Tensor], end: dict[str, Tensor]) -> None:
    def first_bias(model: nn.Module) -> float:
        return float(model.state_dict()["0.bias"][0])

    curve = interpolation_curve(network(2), start, end, first_bias)
    assert [alpha for alpha, _ in curve] == list(ALPHAS) == [n / 10 for n in range(11)]
    low, high = float(start["0.bias"][0]), float(end["0.bias"][0])
    assert [value for _, value in curve] == pytest.approx(
        [low + alpha * (high - low) for alpha in ALPHAS], abs=1e-6
    )
    assert (curve[0][1], curve[-1][1]) == (low, high)


def test_the_curve_leaves_the_model_as_it_was(
    start: dict[str, Tensor], end: dict[str, Tensor]
) -> None:
    model = network(2).eval()
    before = state(2)
    seen = [interpolation_curve(model, start, end, lambda m: float(m.training), (0.5,))]
    assert seen == [[(0.5, 0.0)]]
    assert same_bits(dict(model.state_dict()), before)
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_curve_that_is_broken_off_leaves_the_model_as_it_was(
    start: dict[str, Tensor], end: dict[str, Tensor]
) -> None:
    model = network(2)

    def stop(_: nn.Module) -> float:
        raise RuntimeError("stopped by hand")

    with pytest.raises(RuntimeError, match="stopped by hand"):
        interpolation_curve(model, start, end, stop)
    assert same_bits(dict(model.state_dict()), state(2))


def test_a_curve_reads_back(tmp_path: Path) -> None:
    assert read_curve(tmp_path) is None
    save_curve(tmp_path, [(0.5, 0.75), (0.0, 0.5), (1.0, 0.625)], 0.5)
    read = read_curve(tmp_path)
    assert read == InterpolationCurve(((0.0, 0.5), (0.5, 0.75), (1.0, 0.625)), 0.5)
    assert json.loads((tmp_path / CURVE_FILE).read_text())["alpha"] == 0.5
    assert [file.name for file in tmp_path.iterdir()] == [CURVE_FILE]


def test_the_nearest_point_was_measured() -> None:
    curve = InterpolationCurve(((0.0, 0.5), (0.5, 0.75), (1.0, 0.625)), 0.35)
    assert curve.nearest(curve.alpha) == (0.5, 0.75)
    assert curve.nearest(0.25) == (0.0, 0.5)
    assert curve.nearest(1.0) == (1.0, 0.625)
