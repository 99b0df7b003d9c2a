"""Which runs are better than which, what may be chance, and the numbers that this rests on."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.number_tables import estimates_frame, pairs_frame
from dashboard.runs import duration, plain
from dashboard.show import csv_button
from dashboard.words import names_of, way_name
from engine.insight.experiment import Pair, Way
from engine.insight.intervals import Estimate
from engine.insight.ranking import leading_pair
from engine.insight.verdicts import cautions, verdict

ESTIMATES_HELP = (
    "What other images, and other seeds where there are several, would give in 95 of 100 cases."
)


def verdict_section(ways: Sequence[Way], pairs: Sequence[Pair]) -> None:
    """Says which of the two best ways is better, and whether that may be chance."""
    leading = leading_pair(ways, pairs)
    if leading is not None:
        st.markdown(verdict(leading, name_of))


def estimates_section(page: str, ways: Sequence[Way], pairs: Sequence[Pair]) -> None:
    """Shows how sure the numbers of each way are, and every two ways held against each other.

    Args:
        page: prefix of the state keys.
        ways: of training.
        pairs: of them.
    """
    if not ways:
        return
    st.subheader("How sure these numbers are", anchor=False, help=ESTIMATES_HELP)
    for caution in cautions(ways, name_of):
        st.caption(caution)
    st.dataframe(_estimates(ways), hide_index=True, key=f"{page}.estimates")
    names = names_of([one.run for way in ways for one in way.reports])
    csv_button(lambda: estimates_frame(ways), f"{page}.estimates.csv", f"estimates {names}")
    if len(pairs) > 1:
        with st.expander(f"All {len(pairs)} pairs", icon=":material/balance:"):
            st.caption(
                "*Chance* is how often a difference as large would come about where there is none; "
                "it allows for the number of pairs (Holm)."
            )
            st.dataframe(_pairs(pairs), hide_index=True, key=f"{page}.pairs")
            csv_button(lambda: pairs_frame(pairs), f"{page}.pairs.csv", f"pairs {names}")


def name_of(way: Way) -> str:
    """Returns a way's title for a sentence in Markdown."""
    return f"**{plain(way_name(way))}**"


def _estimates(ways: Sequence[Way]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "way of training": way_name(way),
                "seeds": len(way.seeds),
                "accuracy": _percent(way.accuracy),
                "macro F1": _percent(way.f1),
                "calibration error": _percent(way.calibration_error),
                "time": _time(way.seconds, len(way.reports)),
                "parameters trained": _count(way.trained_parameters),
                "peak memory": _mib(way.memory_mib, len(way.reports)),
            }
            for way in ways
        ]
    )


def _percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.value:.1f} % ({low:.1f} to {high:.1f})"


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _mib(memory: Estimate | None, num_runs: int) -> str:
    if memory is None or num_runs == 1:
        return "–" if memory is None else f"{memory.value:,.0f} MiB"
    low, high = max(0.0, memory.low), memory.high
    return f"{memory.value:,.0f} MiB ({low:,.0f} to {high:,.0f})"


def _time(seconds: Estimate | None, num_runs: int) -> str:
    if seconds is None or num_runs == 1:
        return duration(None if seconds is None else seconds.value)
    low, high = duration(max(0.0, seconds.low)), duration(seconds.high)
    return f"{duration(seconds.value)} ({low} to {high})"


def _pairs(pairs: Sequence[Pair]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {
            "better": way_name(pair.first),
            "than": way_name(pair.second),
            "by": _points(pair.difference.estimate),
            "chance": f"{pair.adjusted_p:.2g}",
            "told apart": "yes" if pair.is_real else "no",
            "images that would tell": _to_tell(pair),
        }
        for pair in sorted(pairs, key=lambda pair: pair.adjusted_p)
    ]
    return pd.DataFrame(rows)


def _points(estimate: Estimate) -> str:
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{100 * estimate.value:.1f} points ({low:.1f} to {high:.1f})"


def _to_tell(pair: Pair) -> str:
    needed = pair.difference.images_to_tell
    return "–" if needed is None else f"{needed:,}"
