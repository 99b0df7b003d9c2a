"""The picture of a backbone's stages: what is frozen, what learns, how fast, in which epochs."""

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from dashboard.palette import DARK, LIGHT
from dashboard.stage_picture import (
    EMBER,
    ICE,
    LEAST_HEAT,
    MOST_HEAT,
    Bar,
    heat,
    rate_text,
    stage_bars,
    stage_legend,
    stage_note,
    stage_picture,
)
from engine.models.catalogue import backbone_record, search
from engine.spec import OptimiserSpec
from engine.strategies import STRATEGIES, StrategySettings
from engine.training.plan import RatePlan
from tests.dashboard.test_palette import TEXT_CONTRAST, THEMES, contrast

LITE = "efficientnet_lite0"
NUM_HEAD = 10_248


def bars_of(
    name: str,
    settings: dict[str, Any] | None = None,
    epochs: int = 10,
    backbone: str = LITE,
    backbone_lr: float = 0.0,
    num_head: int | None = NUM_HEAD,
) -> tuple[Bar, ...]:
    """The bars of a strategy at a head's rate of 1e-3."""
    record, strategy = backbone_record(backbone), STRATEGIES[name]
    told = StrategySettings.parse(settings or {})
    optimiser = OptimiserSpec(lr=1e-3, backbone_lr=backbone_lr)
    phases = strategy.plan(record.stage_names, epochs, told)
    plan = RatePlan(optimiser, phases, epochs, steps_per_epoch=1)
    return stage_bars(plan, record, strategy, told.rank, num_head)


def rates(bar: Bar) -> list[float]:
    return [pytest.approx(segment.rate) for segment in bar.segments]


def cells(html: str) -> list[str]:
    return re.findall(r'<span class="(thaw-stage thaw-[^"]*)"', html)


def test_frozen_is_cold_but_for_the_head() -> None:
    [bar] = bars_of("frozen")
    assert [one.label for one in bar.segments][:2] == ["Stem", "Block 1"]
    assert bar.segments[-1].label == "Head"
    assert rates(bar) == [0.0] * 9 + [1e-3]
    assert cells(stage_picture([bar])) == ["thaw-stage thaw-cold"] * 9 + ["thaw-stage thaw-warm"]


def test_full_is_warm_from_stem_to_head() -> None:
    [bar] = bars_of("full", backbone_lr=1e-4)
    assert rates(bar) == [1e-4] * 9 + [1e-3]
    assert set(cells(stage_picture([bar]))) == {"thaw-stage thaw-warm"}


def test_a_slider_more_is_a_stage_more() -> None:
    for count in range(10):
        [bar] = bars_of("partial", {"last_stages": count})
        assert rates(bar) == [0.0] * (9 - count) + [1e-3] * (count + 1)


def test_titles_say_name_parameters_and_rate() -> None:
    [bar] = bars_of("partial")
    html = unescape(stage_picture([bar]))
    assert 'title="Block 6 (1,652,640 parameters): frozen"' in html
    assert 'title="Top layers (412,160 parameters): learns at 1e-3"' in html
    assert 'title="Head (10,248 parameters): learns at 1e-3"' in html


def test_before_the_classes_are_known_the_head_has_no_size() -> None:
    [bar] = bars_of("frozen", num_head=None)
    assert bar.segments[-1].title == "Head: learns at 1e-3"


def test_phases_have_a_bar_each_with_their_epochs() -> None:
    probe, tune = bars_of("lp_ft", {"probe_share": 0.3, "tune_scale": 0.1})
    assert (probe.epochs, tune.epochs) == ("1–3", "4–10")
    assert rates(probe) == [0.0] * 9 + [1e-3]
    assert rates(tune) == [1e-4] * 10
    html = stage_picture([probe, tune])
    assert "<span>epochs </span>1–3" in html
    assert len(cells(html)) == 20
    first, rest = bars_of("fine_tune")
    assert (first.epochs, rest.epochs) == ("1", "2–10")
    assert "<span>epoch </span>1<" in stage_picture([first, rest])


def test_a_single_phase_needs_no_epochs() -> None:
    assert "thaw-when" not in stage_picture(bars_of("full"))


def test_gradual_thaws_one_stage_more_in_each_bar_and_is_drawn_low() -> None:
    bars = bars_of("gradual")
    assert [sum(one.rate > 0 for one in bar.segments) for bar in bars] == list(range(1, 11))
    assert [bar.epochs for bar in bars] == [str(epoch) for epoch in range(1, 11)]
    assert "thaw-compact" in stage_picture(bars)
    assert "thaw-compact" not in stage_picture(bars_of("gradual", {"unfreeze_every": 3}))


def test_discriminative_grows_warmer_from_stem_to_head() -> None:
    [bar] = bars_of("discriminative")
    assert [one.rate for one in bar.segments] == sorted({one.rate for one in bar.segments})
    warmth = [int(one) for one in re.findall(r"--thaw-heat: (\d+)%", stage_picture([bar]))]
    assert warmth == sorted(warmth)
    assert warmth[-1] > warmth[0]


@pytest.mark.parametrize(
    ("name", "note", "in_block_1"),
    [
        ("norm_only", "Of each stage only the norms learn.", "only 96 in its norms learn"),
        ("bias_only", "Of each stage only the biases learn.", "only 48 in its biases learn"),
        ("lora", "Adapters learn beside weights that", "only 384 in its adapters learn"),
    ],
)
def test_what_learns_in_part_is_a_thin_fill_and_says_so(
    name: str, note: str, in_block_1: str
) -> None:
    bars = bars_of(name)
    html = stage_picture(bars, stage_note(bars, statistics_move=False))
    assert cells(html) == ["thaw-stage thaw-cold thaw-part"] * 9 + ["thaw-stage thaw-warm"]
    assert note in html
    assert in_block_1 in html


def test_a_stage_without_norms_stays_frozen_where_only_norms_learn() -> None:
    [bar] = bars_of("norm_only", backbone="timm/vit_base_patch16_224.augreg2_in21k_ft_in1k")
    assert bar.segments[0].title == "Stem (742,656 parameters): frozen"
    assert bar.segments[1].rate == 1e-3


def test_moving_statistics_of_frozen_stages_are_told() -> None:
    assert "BatchNorm" in stage_note(bars_of("frozen"), statistics_move=True)
    assert stage_note(bars_of("frozen"), statistics_move=False) == ""
    assert stage_note(bars_of("full"), statistics_move=True) == ""


def test_those_who_do_not_see_it_are_told_in_words() -> None:
    probe, tune = bars_of("lp_ft", backbone="torchvision/resnet50.IMAGENET1K_V2")
    label = re.search(r'role="img" aria-label="([^"]*)"', stage_picture([probe, tune]))
    assert label is not None
    assert label[1] == (
        "Epochs 1–5: learning: Head at 1e-3; frozen: Stem, Layer 1, Layer 2, Layer 3, Layer 4. "
        "Epochs 6–10: learning: Stem at 1e-4, Layer 1 at 1e-4, Layer 2 at 1e-4, Layer 3 at 1e-4, "
        "Layer 4 at 1e-4, Head at 1e-4."
    )


def test_names_are_text_not_markup() -> None:
    [bar] = bars_of("full")
    first = bar.segments[0]
    odd = replace(first, label='<b>Stem & co"</b>')
    html = stage_picture([Bar(1, 10, (odd, *bar.segments[1:]))])
    assert "<b>Stem" not in html
    assert "&lt;b&gt;Stem &amp; co&quot;" in html


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_a_picture_on_every_shape_of_backbone(name: str) -> None:
    shapes = {len(record.stages): record.name for record in search()}
    for num_stages, backbone in shapes.items():
        bars = bars_of(name, epochs=num_stages, backbone=backbone)
        assert bars[0].first == 1
        assert bars[-1].last == num_stages
        assert all(bar.segments[-1].rate > 0 for bar in bars)
        assert all(len(bar.segments) == num_stages + 1 for bar in bars)
        assert len(cells(stage_picture(bars))) == (num_stages + 1) * len(bars)


def test_texts_are_turned_only_where_there_are_many() -> None:
    assert "thaw-many" in stage_picture(bars_of("full"))
    resnet = bars_of("full", backbone="torchvision/resnet50.IMAGENET1K_V2")
    assert "thaw-many" not in stage_picture(resnet)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (3e-4, "3e-4"),
        (2.5e-3, "2.5e-3"),
        (0.1, "1e-1"),
        (1.0, "1"),
        (1e-5, "1e-5"),
        (0.7**3 * 1e-3, "3.43e-4"),
    ],
)
def test_a_rate_takes_few_characters(rate: float, text: str) -> None:
    assert rate_text(rate) == text


def test_a_rate_is_cut_to_so_many_digits() -> None:
    assert rate_text(0.7**3 * 1e-3, digits=2) == "3.4e-4"
    assert rate_text(9.99e-4, digits=1) == "1e-3"


def test_warmth_grows_by_as_much_in_every_decade() -> None:
    steps = [heat(10.0**power) for power in range(-6, -1)]
    assert steps == [14, 28, 42, 56, 70]
    assert heat(1e-9) == LEAST_HEAT
    assert heat(1.0) == MOST_HEAT


def mixed(colour: str, share: float, ground: str) -> str:
    """The colour that `color-mix(in srgb, colour share%, transparent)` is on a ground."""
    pairs = [(colour[at : at + 2], ground[at : at + 2]) for at in (1, 3, 5)]
    return "#" + "".join(
        f"{round(share * int(one, 16) + (1 - share) * int(other, 16)):02x}" for one, other in pairs
    )


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("colour", "percent"), [(EMBER, LEAST_HEAT), (EMBER, MOST_HEAT), (ICE, 16), (ICE, 34)]
)
def test_text_on_every_warmth_can_be_read(theme: str, colour: str, percent: int) -> None:
    ground = mixed(colour, percent / 100, THEMES[theme]["background"])
    assert contrast(THEMES[theme]["text"], ground) >= TEXT_CONTRAST


def test_colours_follow_the_theme() -> None:
    """Inks come from the page, so nothing may be fixed to one of its themes."""
    html = stage_picture(bars_of("full")) + stage_legend()
    assert not [one for one in (*LIGHT.values(), *DARK.values()) if one in html]
