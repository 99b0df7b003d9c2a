"""Pictures made worse: alike each time, worse with each step, and as the paper has it."""

import itertools

import numpy as np
import pytest
from PIL import Image

from engine.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Blobs of colour with hard edges, 160 px."""
    drawn = np.random.default_rng(3)
    coarse = Image.fromarray(drawn.integers(30, 220, (10, 10, 3), dtype=np.uint8))
    return coarse.resize((160, 160), Image.Resampling.NEAREST)


def change(picture: Image.Image, other: Image.Image) -> float:
    ours, theirs = (np.asarray(one, dtype=float) for one in (picture, other))
    return float(np.abs(ours - theirs).mean())


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if kind != "fog"])
def test_each_step_changes_more_than_the_one_before(kind: str, picture: Image.Image) -> None:
    changes = []
    for severity in SEVERITIES:
        worse = [corrupt(picture, kind, severity, seed) for seed in range(8)]
        assert all((one.size, one.mode) == (picture.size, "RGB") for one in worse)
        changes.append(np.mean([change(picture, one) for one in worse]))
    assert changes[0] > 0.5
    for milder, stronger in itertools.pairwise(changes):
        assert stronger > milder


def test_each_step_of_fog_hides_more(picture: Image.Image) -> None:
    """What is left of the difference of two pictures in the same fog: its light does not count."""
    other = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    left = [
        change(corrupt(picture, "fog", severity), corrupt(other, "fog", severity))
        for severity in SEVERITIES
    ]
    assert left[0] < change(picture, other) / 2
    # Two steps have the same density, and differ in how rough the fog is.
    assert all(next_one <= one + 0.5 for one, next_one in itertools.pairwise(left))
    assert left[-1] < 0.8 * left[0]


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_same_seed_makes_it_worse_in_the_same_way(kind: str, picture: Image.Image) -> None:
    assert corrupt(picture, kind, 3, 7) == corrupt(picture, kind, 3, 7)
    is_drawn = kind in ("noise", "fog")
    assert (corrupt(picture, kind, 3, 7) != corrupt(picture, kind, 3, 8)) == is_drawn


def test_noise_has_the_papers_deviation() -> None:
    grey = Image.new("RGB", (200, 200), (128, 128, 128))
    for severity, deviation in ((1, 0.08), (2, 0.12)):
        noisy = np.asarray(corrupt(grey, "noise", severity), dtype=float) / 255
        assert noisy.std() == pytest.approx(deviation, rel=0.03)


def test_contrast_leaves_the_mean_and_shrinks_what_differs(picture: Image.Image) -> None:
    before = np.asarray(picture, dtype=float)
    after = np.asarray(corrupt(picture, "contrast", 4), dtype=float)
    assert after.mean(axis=(0, 1)) == pytest.approx(before.mean(axis=(0, 1)), abs=0.5)
    deviations = [(one - one.mean(axis=(0, 1))).std() for one in (before, after)]
    assert deviations[1] / deviations[0] == pytest.approx(0.1, abs=0.01)


def test_fog_brightens_what_is_dark_and_is_not_the_same_everywhere() -> None:
    dark = Image.new("RGB", (96, 64), (20, 20, 20))
    dark.putpixel((0, 0), (255, 255, 255))
    fogged = np.asarray(corrupt(dark, "fog", 3), dtype=float)[:, :, 0]
    assert fogged.shape == (64, 96)
    assert fogged.mean() > 60
    assert fogged.std() > 5


@pytest.mark.parametrize("side", [1, 2, 3, 31, 64, 65])
def test_any_side_will_do(side: int) -> None:
    picture = Image.new("RGB", (side, side), (90, 140, 30))
    for kind, severity in itertools.product(CORRUPTIONS, (1, 5)):
        assert corrupt(picture, kind, severity).size == (side, side)


def test_what_is_not_there_is_refused(picture: Image.Image) -> None:
    with pytest.raises(ValueError, match="severity of 6"):
        corrupt(picture, "fog", 6)
    with pytest.raises(ValueError, match="'rain'"):
        corrupt(picture, "rain", 1)
