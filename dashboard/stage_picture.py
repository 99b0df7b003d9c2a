"""The stages of a backbone as a bar a phase: what is frozen, what learns, and how fast.

Pure functions from plain records to HTML; `stage_picture.css` says how it looks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dashboard.palette import COLD, WARM
from engine.models.catalogue import BackboneRecord, Select
from engine.strategies import Phase, Strategy
from engine.training.plan import RatePlan, phase_spans

ICE, EMBER = COLD[3], WARM[0]
HEAD = "Head"
# With more phases than this, bars are low and carry no text.
ROOMY_PHASES = 6
# With more segments than this, texts are turned where the screen is narrow.
ROOMY_SEGMENTS = 6
# Learning rates between which the colour grows warmer, by as much in every decade.
COOLEST_LR, HOTTEST_LR = 1e-6, 1e-2
# Shares of the warm colour, in percent; above the greatest, text on it is hard to read.
LEAST_HEAT, MOST_HEAT = 14, 70
# What of a stage learns, where that is not all of it.
PARTS: dict[Select, str] = {"all": "", "norms": "norms", "biases": "biases", "adapters": "adapters"}


@dataclass(frozen=True)
class Segment:
    """One stage in one phase.

    Attributes:
        label: of the stage.
        num_parameters: learnable numbers in it; None where that is not known yet.
        num_learning: how many learn in this phase.
        part: what of it learns, where that is not all: norms, biases or adapters.
        rate: learning rate before the schedule's factor; 0 where the stage is frozen.
    """

    label: str
    num_parameters: int | None
    num_learning: int
    part: str
    rate: float

    @property
    def title(self) -> str:
        """The stage in words."""
        size = "" if self.num_parameters is None else f" ({self.num_parameters:,} parameters)"
        if not self.rate:
            return f"{self.label}{size}: frozen"
        only = f"only {self.num_learning:,} in its {self.part} learn, " if self.part else "learns "
        return f"{self.label}{size}: {only}at {rate_text(self.rate)}"


@dataclass(frozen=True)
class Bar:
    """One phase: its first and its last epoch, and its segments, stem first and head last."""

    first: int
    last: int
    segments: tuple[Segment, ...]

    @property
    def epochs(self) -> str:
        """The epochs without the word for them."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"

    @property
    def sentence(self) -> str:
        """The phase in words, for those who do not see it."""
        learning = [f"{one.label} at {rate_text(one.rate)}" for one in self.segments if one.rate]
        frozen = [one.label for one in self.segments if not one.rate]
        ends = f"; frozen: {', '.join(frozen)}" if frozen else ""
        return f"{_epoch_word(self)} {self.epochs}: learning: {', '.join(learning)}{ends}."


def stage_bars(
    plan: RatePlan, record: BackboneRecord, strategy: Strategy, rank: int, num_head: int | None
) -> tuple[Bar, ...]:
    """Returns a bar a phase.

    Args:
        plan: phases and learning rates.
        record: the backbone.
        strategy: says which parameters of a stage learn.
        rank: of adapters.
        num_head: learnable numbers in the head; None while the number of classes is not known.
    """
    return tuple(
        Bar(first, last, _segments(phase, plan, record, strategy, rank, num_head))
        for phase, first, last in phase_spans(plan.phases, plan.epochs)
    )


def _segments(
    phase: Phase,
    plan: RatePlan,
    record: BackboneRecord,
    strategy: Strategy,
    rank: int,
    num_head: int | None,
) -> tuple[Segment, ...]:
    segments = []
    for stage in record.stages:
        # A stage without a norm, say, has nothing that learns where only norms do.
        num = stage.count(strategy.select, rank) if stage.name in phase.rates else 0
        rate = plan.backbone_lr * phase.rates[stage.name] if num else 0.0
        part = PARTS[strategy.select]
        segments.append(Segment(stage.label, stage.num_parameters, num, part, rate))
    head = Segment(HEAD, num_head, num_head or 0, "", plan.head_lr * phase.head_rate)
    return (*segments, head)


def stage_picture(bars: Sequence[Bar], note: str = "") -> str:
    """Returns the bars as HTML, with the stages' names above them.

    Args:
        bars: a phase each, of the same stages.
        note: what is to be said below them.
    """
    segments = bars[0].segments
    several = len(bars) > 1
    names = "".join(
        f'<span class="thaw-stage-name" title="{escape(one.label)}">{escape(one.label)}</span>'
        for one in segments
    )
    rows = "".join(_row(bar, several) for bar in bars)
    many = " thaw-many" if len(segments) > ROOMY_SEGMENTS else ""
    compact = " thaw-compact" if len(bars) > ROOMY_PHASES else ""
    words = escape(" ".join(bar.sentence for bar in bars))
    corner = '<span class="thaw-when"></span>' if several else ""
    caption = f"<figcaption>{escape(note)}</figcaption>" if note else ""
    return (
        f'<figure class="thaw-stages{many}{compact}">'
        f'<div role="img" aria-label="{words}" style="--thaw-ice: {ICE}; --thaw-ember: {EMBER}; '
        f"grid-template-columns: {'auto ' if several else ''}"
        f'repeat({len(segments)}, minmax(0, 1fr))">{corner}{names}{rows}</div>{caption}</figure>'
    )


def _row(bar: Bar, several: bool) -> str:
    when = (
        f'<span class="thaw-when"><span>{_epoch_word(bar).lower()} </span>{bar.epochs}</span>'
        if several
        else ""
    )
    return when + "".join(_cell(segment) for segment in bar.segments)


def _epoch_word(bar: Bar) -> str:
    return "Epoch" if bar.first == bar.last else "Epochs"


def _cell(segment: Segment) -> str:
    title = f'title="{escape(segment.title)}"'
    if not segment.rate:
        return f'<span class="thaw-stage thaw-cold" {title}></span>'
    text = f"<b>{rate_text(segment.rate, digits=2)}</b>"
    warm = f'style="--thaw-heat: {heat(segment.rate)}%"'
    if not segment.part:
        return f'<span class="thaw-stage thaw-warm" {warm} {title}>{text}</span>'
    return (
        f'<span class="thaw-stage thaw-cold thaw-part" {title}>'
        f'{text}<i class="thaw-warm" {warm}></i></span>'
    )


def stage_legend() -> str:
    """Returns as HTML what the colours of a picture mean."""
    return (
        f'<div class="thaw-legend" style="--thaw-ice: {ICE}; --thaw-ember: {EMBER}">'
        '<span class="thaw-stage thaw-cold"></span> frozen '
        f'<span class="thaw-stage thaw-warm" style="--thaw-heat: {MOST_HEAT}%">3e-4</span> '
        "learns at that rate; the warmer, the faster</div>"
    )


def stage_note(bars: Sequence[Bar], statistics_move: bool) -> str:
    """Returns what the colours alone do not say.

    Args:
        bars: the phases.
        statistics_move: whether BatchNorm's statistics follow the new pictures in frozen stages.
    """
    part = next((one.part for bar in bars for one in bar.segments if one.part and one.rate), "")
    found = []
    if part == "adapters":
        found.append("Adapters learn beside weights that stay as they were.")
    elif part:
        found.append(f"Of each stage only the {part} learn.")
    if statistics_move and any(not one.rate for bar in bars for one in bar.segments):
        found.append("BatchNorm statistics move in frozen stages too.")
    return " ".join(found)


def rate_text(rate: float, digits: int = 3) -> str:
    """Returns a learning rate in as few characters as it takes, such as 3e-4 or 2.5e-3."""
    mantissa, _, exponent = f"{rate:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return mantissa if int(exponent) == 0 else f"{mantissa}e{int(exponent)}"


def heat(rate: float) -> int:
    """Returns how warm a learning rate is coloured: a percentage, on a logarithmic scale."""
    share = math.log(rate / COOLEST_LR) / math.log(HOTTEST_LR / COOLEST_LR)
    return round(LEAST_HEAT + (MOST_HEAT - LEAST_HEAT) * min(max(share, 0.0), 1.0))
