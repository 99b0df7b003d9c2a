"""What updates of one model came to, as a table and in words."""

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from dashboard.runs import plain
from dashboard.show import csv_button
from dashboard.update_colours import way_colours
from dashboard.words import duration, names_of, percent
from engine.insight.update_methods import MethodResult, Spread
from engine.insight.update_ways import is_going_on, short_names

HELP = (
    "*Old* images are the validation images of all that the model learnt from before, *new* ones "
    "those of the new folder. *Forgotten*: accuracy on old images before less that after. "
    "*Broken*: old images that were told right and are not any more; *mended*: the other way "
    "round. *Old ones seen again*: training images of before that are learnt from once more."
)


def update_table(page: str, ways: Sequence[MethodResult]) -> None:
    """Shows what each way of updating came to, with its numbers to download.

    Args:
        page: prefix of the state keys.
        ways: at least one.
    """
    st.subheader("What each method kept and gained", anchor=False, help=HELP)
    st.markdown(in_words(ways))
    rows = [
        {
            "": "●",
            "method": name + (" (so far)" if is_going_on(way) else ""),
            "old images": f"{_percent(way.before_old)} → {_percent(way.old)}",
            "forgotten": _told(way.forgotten, _points),
            "new images": f"{_percent(way.before_new)} → {_percent(way.new)}",
            "all": _percent(way.all),
            "broken": _told(way.broken, _count),
            "mended": _told(way.mended, _count),
            "time": _told(way.seconds, duration),
            "old ones seen again": _seen_again(way),
            "runs": " ".join(one.run.id[:4] for one in way.updates),
            "in words": way.label,
        }
        for way, name in zip(ways, short_names(ways), strict=True)
    ]
    dots = [f"color: {colour}; font-weight: 700" for colour in way_colours(ways)]
    styled = pd.DataFrame(rows).style.apply(lambda _: dots, subset=[""])
    st.dataframe(
        styled,
        hide_index=True,
        column_config={"": st.column_config.Column(width=40)},
        key=f"{page}.updates.table",
    )
    st.caption(_caption(ways))
    runs = [one.run for way in ways for one in way.updates]
    csv_button(lambda: updates_frame(ways), f"{page}.updates.csv", f"updates {names_of(runs)}")


def in_words(ways: Sequence[MethodResult]) -> str:
    """Returns in a few sentences who does best on all images, and who forgot most."""
    first, before = ways[0], ways[0].updates[0].before
    shares = (
        (first.before_old, before.old, "old images"),
        (first.before_new, before.new, "new ones"),
    )
    told = [
        f"{_percent(spread)} of {share.num} {what}" for spread, share, what in shares if share.num
    ]
    sentences = [f"Before, the model told {' and '.join(told)} right."]
    if best := _most([(way, way.all) for way in ways]):
        way, spread = best
        sentences.append(
            f"On all images **{plain(way.label)}** is right most often: {percent(spread.mean)}."
        )
    if worst := _most([(way, way.forgotten) for way in ways]):
        way, spread = worst
        sentences.append(
            f"**{plain(way.label)}** forgot most: {_points(spread.mean)} points of accuracy on old "
            "images."
            if spread.mean > 0
            else "None of them forgot anything, as far as these old images tell."
        )
    return " ".join(sentences)


def _most(
    told: Sequence[tuple[MethodResult, Spread | None]],
) -> tuple[MethodResult, Spread] | None:
    known = [(way, spread) for way, spread in told if spread is not None]
    return max(known, key=lambda one: one[1].mean, default=None)


def _caption(ways: Sequence[MethodResult]) -> str:
    before = ways[0].updates[0].before
    each = [
        f"each {kind} image is {100 / share.num:.1f} points"
        for kind, share in (("old", before.old), ("new", before.new))
        if share.num
    ]
    sentences = [
        f"{', '.join(each).capitalize()}, so differences of a few may be chance.",
        "Numbers are of the model that a run kept: that of the epoch with most of all images right "
        "(of wise_ft the blend).",
    ]
    if any(len(way.updates) > 1 for way in ways):
        sentences.append("± is the standard deviation over seeds.")
    return " ".join(sentences)


def _told(spread: Spread | None, say: Callable[[float], str]) -> str:
    if spread is None:
        return "–"
    more = "" if spread.deviation is None else f" ± {say(spread.deviation).removesuffix(' %')}"
    return f"{say(spread.mean)}{more}" if not more else _plus_minus(say(spread.mean), more)


def _plus_minus(mean: str, more: str) -> str:
    """Returns both with the unit, if it is a percentage, once and last."""
    return f"{mean.removesuffix(' %')}{more} %" if mean.endswith(" %") else mean + more


def _percent(spread: Spread | None) -> str:
    """Returns a share; where all seeds have the same, as they have before an update, once."""
    if spread is not None and spread.deviation == 0.0:
        return percent(spread.mean)
    return _told(spread, percent)


def _seen_again(way: MethodResult) -> str:
    """Returns how many old images it learns from again, which is the same for all seeds."""
    return "–" if way.seen_again is None else _count(way.seen_again.mean)


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}".replace("-", "−")


def _count(number: float) -> str:
    return f"{number:.0f}" if number == round(number) else f"{number:.1f}"


def updates_frame(ways: Sequence[MethodResult]) -> pd.DataFrame:
    """Returns what each run came to as plain numbers, a row a run."""
    return pd.DataFrame(
        [
            {
                "method": way.method,
                "label": way.label,
                "run": one.run.id,
                "status": one.run.status,
                "seed": one.run.spec.seed,
                "before_old": one.before.old.accuracy,
                "old": one.after.old.accuracy,
                "forgotten": one.forgotten,
                "before_new": one.before.new.accuracy,
                "new": one.after.new.accuracy,
                "all": one.after.all.accuracy,
                "num_old": one.after.old.num,
                "num_new": one.after.new.num,
                "broken": len(one.broken_N),
                "mended": len(one.mended_N),
                "old_images_seen_again": one.run.summary.get("old_images_seen_again"),
                "seconds": one.run.summary.get("seconds"),
            }
            for way in ways
            for one in way.updates
        ]
    )
