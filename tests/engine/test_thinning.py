"""Thinned lines: fewer points, and every peak still there."""

import numpy as np
import pytest

from engine.insight.thinning import kept_places


def test_a_short_line_is_left_as_it_is() -> None:
    assert kept_places([[3.0, 1.0, 2.0]]).tolist() == [0, 1, 2]
    assert kept_places([[]]).tolist() == []


@pytest.mark.parametrize("num", [1_201, 10_000, 100_003])
@pytest.mark.parametrize("lines", [1, 3])
def test_no_extreme_of_any_stretch_is_lost(num: int, lines: int) -> None:
    """A single spike anywhere survives, upwards and downwards, in every line."""
    random = np.random.default_rng(num)
    values_LN = random.normal(size=(lines, num))
    spikes = random.choice(num, size=20, replace=False)
    for line, place in enumerate(spikes):
        values_LN[line % lines, place] = 50.0 if line % 2 else -50.0
    most = 600
    kept = kept_places(values_LN, most)
    assert len(kept) <= most + 2
    assert (np.diff(kept) > 0).all()
    assert {0, num - 1} <= set(kept.tolist())
    for values in values_LN:
        assert values[kept].min() == values.min()
        assert values[kept].max() == values.max()
        stretches = most // (2 * lines)
        cuts = [num * place // stretches for place in range(1, stretches)]
        for places in np.split(np.arange(num), cuts):
            there = np.intersect1d(places, kept)
            assert values[there].min() == values[places].min()
            assert values[there].max() == values[places].max()


def test_gaps_stay() -> None:
    values = np.sin(np.arange(5_000) / 100.0)
    values[1_000:2_000] = np.nan
    kept = kept_places([values], 200)
    # The gap is as long as it was, to a stretch, and nothing is drawn across it.
    gap = kept[np.isnan(values[kept])]
    assert gap.min() < 1_000 + 50
    assert gap.max() >= 2_000 - 50
    assert not np.isfinite(values[kept[(kept > gap.min()) & (kept < gap.max())]]).any()
    assert np.nanmax(values[kept]) == np.nanmax(values)


def test_what_is_kept_is_drawn_in_order() -> None:
    values = np.arange(10_000.0) % 7
    assert kept_places([values], 100).tolist() == sorted(set(kept_places([values], 100).tolist()))
