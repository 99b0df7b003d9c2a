"""The verdict, and the numbers that it rests on."""

from dashboard.report.blocks import Block, Section, Table, Words
from dashboard.report.comparison import Comparison
from dashboard.words import duration, label_of, percent, way_name
from engine.insight.compare import RunReport
from engine.insight.experiment import Pair, Way
from engine.insight.intervals import Estimate
from engine.insight.verdicts import cautions, verdict
from engine.strategies import STRATEGIES

NO_VERDICT = (
    "These runs were judged on different images, so no verdict is given; compare runs of the same "
    "data and split."
)


def verdict_section(comparison: Comparison) -> Section:
    """Returns the question and the answer, with what must be known before believing it."""
    blocks: list[Block] = [Words(_question(comparison))]
    blocks += [Words(text, "warning") for text in comparison.warnings]
    if comparison.leading is not None:
        blocks.append(Words(verdict(comparison.leading, way_name), "verdict"))
    elif comparison.ways:
        blocks.append(Words(_alone(comparison.ways), "verdict"))
    else:
        blocks.append(Words("No run here has been judged yet.", "verdict"))
    blocks += [Words(text, "note") for text in cautions(comparison.ways, way_name)]
    return Section("Verdict", blocks)


def _question(comparison: Comparison) -> str:
    specs = [one.run.spec for one in comparison.reports]
    strategies = list(dict.fromkeys(STRATEGIES[spec.strategy.name].label for spec in specs))
    backbones = list(dict.fromkeys(spec.model.backbone for spec in specs))
    ways = " or ".join(strategies) if len(strategies) > 1 else f"{strategies[0]}, and how"
    return f"Question: how should {', '.join(backbones)} be updated with these images: {ways}?"


def _alone(ways: list[Way]) -> str:
    if len(ways) > 1:
        return NO_VERDICT
    [way] = ways
    return (
        f"{way.label} gets {interval_of(way.accuracy)} of {len(way.images):,} validation images "
        "right; there is nothing here to compare it with."
    )


def results_section(comparison: Comparison) -> Section:
    """Returns the numbers of each way with their intervals, and those of each run."""
    blocks: list[Block] = []
    if comparison.ways:
        blocks += [
            Words(
                "In brackets: what other images, and other seeds where there are several, would "
                "give in 95 of 100 cases.",
                "note",
            ),
            _ways_table(comparison),
        ]
    blocks.append(_runs_table(comparison))
    for one in comparison.reports:
        notes = (*one.memory_notes, *one.acts_too_late)
        blocks += [Words(f"{label_of(one.run)}: {comparison.clean(one, n)}", "note") for n in notes]
    return Section("Results", blocks)


def _ways_table(comparison: Comparison) -> Table:
    rows = tuple(
        (
            way_name(way),
            f"{len(way.seeds)}",
            f"{len(way.images):,}",
            interval_of(way.accuracy),
            interval_of(way.f1),
            interval_of(way.calibration_error),
            _time(way),
            _count(way.trained_parameters),
            _mebibytes(way.peak_memory_mib),
        )
        for way in comparison.ways
    )
    columns = (
        "way of training",
        "seeds",
        "images",
        "accuracy",
        "macro F1",
        "calibration error (ECE)",
        "time",
        "parameters trained",
        "peak memory",
    )
    return Table("Ways of training", columns, rows, frozenset(range(1, 9)))


def _runs_table(comparison: Comparison) -> Table:
    columns = (
        "run",
        "status",
        "seed",
        "best val accuracy",
        "in epoch",
        "time to it",
        "time in all",
        "started from",
        "why it ended",
    )
    rows = tuple(_run_row(comparison, one) for one in comparison.reports)
    return Table("Runs", columns, rows, frozenset({2, 3, 4, 5, 6}))


def _run_row(comparison: Comparison, one: RunReport) -> tuple[str, ...]:
    run = one.run
    return (
        label_of(run),
        run.status,
        str(run.spec.seed),
        percent(one.best_val_accuracy),
        str(one.best_epoch or "–"),
        duration(one.seconds_to_best),
        duration(one.seconds),
        comparison.clean(one, run.summary.get("weights") or "–"),
        comparison.clean(one, run.reason or "–"),
    )


def pairs_section(comparison: Comparison) -> Section | None:
    """Returns every two ways held against each other."""
    if not comparison.pairs:
        return None
    columns = ("better", "than", "by", "chance", "told apart", "images that would tell", "test")
    ordered = sorted(comparison.pairs, key=lambda pair: pair.adjusted_p)
    rows = tuple(_pair_row(pair) for pair in ordered)
    words = (
        "Chance is how often a difference as large would come about where there is none; it allows "
        "for the number of pairs (Holm). Told apart: less often than once in twenty."
    )
    table = Table("Pairs", columns, rows, frozenset({2, 3, 5}))
    return Section("Which differences are real", (Words(words, "note"), table))


def _pair_row(pair: Pair) -> tuple[str, ...]:
    one = pair.difference
    low, high = 100 * one.estimate.low, 100 * one.estimate.high
    return (
        way_name(pair.first),
        way_name(pair.second),
        f"{100 * one.estimate.value:.1f} points ({low:.1f} to {high:.1f})",
        f"{pair.adjusted_p:.2g}",
        "yes" if pair.is_real else "no",
        "–" if one.images_to_tell is None else f"{one.images_to_tell:,}",
        one.method,
    )


def interval_of(estimate: Estimate | None) -> str:
    """Returns a fraction with its interval as percentages, or a dash."""
    if estimate is None:
        return "–"
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.value:.1f} % ({low:.1f} to {high:.1f})"


def _time(way: Way) -> str:
    if way.seconds is None or len(way.reports) == 1:
        return duration(None if way.seconds is None else way.seconds.value)
    low, high = duration(max(0.0, way.seconds.low)), duration(way.seconds.high)
    return f"{duration(way.seconds.value)} ({low} to {high})"


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _mebibytes(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f} MiB"
