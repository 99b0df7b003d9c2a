"""Sections of the Compare page on new weights out of old: averages, and blends of two moments."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.blend_charts import interpolation_figure
from dashboard.helper import run_thaw
from dashboard.runs import colour_of, label_of, percent, plain
from dashboard.show import show_chart
from dashboard.words import names_of
from engine.home import run_folder
from engine.insight.blends import SoupReport, kept_blend, soup_of, why_not_average
from engine.runs.store import Run
from engine.training.curves import InterpolationCurve, read_curve

HOW_TO_USE = (
    "To go on from these weights, choose *My file* under *Weights to start from* on the Train page "
    "and paste this path: the backbone is taken from it, and a new head learns. In Python, "
    "`load_checkpoint` reads it with its head."
)


def soup_section(page: str, runs: Sequence[Run]) -> None:
    """Offers the average of the finished ones among runs, or shows it where it was made before.

    Args:
        page: prefix of the state keys.
        runs: those that are compared.
    """
    finished = [run for run in runs if run.status == "finished"]
    if len(finished) < 2:
        return
    st.subheader("Average these", anchor=False)
    st.caption(
        "One model whose weights are the mean of these runs' best weights (model soup, Wortsman et "
        "al. 2022). It costs no more to use than one of them; whether it is better or worse is "
        "measured."
    )
    if reasons := why_not_average(finished):
        st.info(plain(" ".join(reasons)), icon=":material/block:")
        return
    report = soup_of(run.id for run in finished)
    if report is None:
        _offer(page, finished)
    else:
        _show_soup(report, finished)


@st.fragment
def _offer(page: str, runs: Sequence[Run]) -> None:
    which = "both" if len(runs) == 2 else f"these {len(runs)}"
    clicked = st.button(
        f"Average {which}",
        icon=":material/blender:",
        help="Judges each run's best weights and their average on the validation pictures.",
        key=f"{page}.soup",
    )
    if not clicked:
        return
    num_val = runs[0].summary.get("val_images")
    pictures = f"{num_val} pictures" if num_val else "the validation pictures"
    with st.spinner(f"Averaging, and judging {len(runs) + 1} models on {pictures}"):
        answer = run_thaw("soup", *(run.id for run in runs))
    if "error" in answer:
        st.error(plain(answer["error"]), icon=":material/error:")
        return
    st.rerun()


def _show_soup(report: SoupReport, runs: Sequence[Run]) -> None:
    members = {member.run_id: member for member in report.members}
    rows = [
        _row("●", label_of(run), members[run.id].val_accuracy, members[run.id].val_f1, report)
        for run in runs
    ]
    rows.append(_row("◆", "their average", report.val_accuracy, report.val_f1, report))
    dots = [f"color: {colour_of(run)}; font-weight: 700" for run in runs]
    styled = pd.DataFrame(rows).style.apply(lambda _: [*dots, "font-weight: 700"], subset=[""])
    st.dataframe(styled, hide_index=True, column_config={"": st.column_config.Column(width=40)})
    [best] = [run for run in runs if run.id == report.best.run_id]
    st.markdown(_standing(report, best))
    st.caption(
        "A run's best epoch is picked on these same pictures and an average is not, so the "
        "comparison leans a little towards the runs."
    )
    st.code(report.checkpoint, language=None, wrap_lines=True)
    st.caption(HOW_TO_USE)


def _row(dot: str, name: str, accuracy: float, f1: float, report: SoupReport) -> dict[str, Any]:
    return {
        "": dot,
        "model": name,
        "val accuracy": percent(accuracy),
        "pictures right": _right(accuracy, report.val_images),
        "macro F1": f"{f1:.3f}",
    }


def _right(accuracy: float, num_val: int) -> str:
    return f"{round(accuracy * num_val)} of {num_val}"


def _standing(report: SoupReport, best: Run) -> str:
    """Says in a sentence how the average does beside the best of its runs."""
    lead, num_val = report.lead_images, report.val_images
    named = f"**{plain(label_of(best))}**, the best of the runs"
    if lead == 0:
        return f"The average gets as many of the {num_val} validation pictures right as {named}."
    step = "better" if lead > 0 else "worse"
    caution = " With so few pictures that may be chance." if abs(lead) < 2 * num_val**0.5 else ""
    return (
        f"The average is {step} than {named}, by {abs(lead)} of {num_val} validation pictures."
        f"{caution}"
    )


def interpolation_section(page: str, runs: Sequence[Run]) -> None:
    """Shows, for runs that kept their weights from before and after, the accuracy in between.

    Args:
        page: prefix of the state keys.
        runs: those that are compared.
    """
    curves = [(run, read_curve(run_folder(run.id))) for run in runs]
    shown = [(run, curve) for run, curve in curves if curve is not None]
    if not shown:
        return
    st.subheader("Between before and after", anchor=False)
    st.caption(
        "Blends of a run's weights before and after fine-tuning, (1 − α) · before + α · after "
        "(WiSE-FT, Wortsman et al. 2022). What such blends are best known for, accuracy on "
        "pictures unlike those of the training, is not measured here."
    )
    if any(curve.old for _, curve in shown):
        st.caption(
            "In an update, *before* has the old weights, and in the head rows of new classes that "
            "have learnt nothing yet: where it names these, it is less right than the old model "
            "was (dashed line: that one on old images)."
        )
    for run, curve in shown:
        _between(page, run, curve)


@st.fragment
def _between(page: str, run: Run, curve: InterpolationCurve) -> None:
    st.markdown(f"**{plain(label_of(run))}**")
    picked = st.select_slider(
        "Share of the fine-tuned weights (α)",
        [alpha for alpha, _ in curve.points],
        value=curve.nearest(curve.alpha)[0],
        format_func=lambda alpha: f"{alpha:g}",
        help="0 is the model before fine-tuning, 1 the one after. "
        "Each of these blends was measured when the run ended.",
        key=f"{page}.alpha.{run.id}",
        persist_state="session",
    )
    alpha, accuracy = curve.nearest(float(picked))
    before = run.summary.get("old_accuracy_before") if curve.old else None
    figure = interpolation_figure(curve, alpha, colour_of(run), before)
    show_chart(
        figure,
        key=f"{page}.between.{run.id}",
        name=f"Accuracy against alpha {names_of([run])}",
        alt=f"Accuracy of blends of the weights before and after fine-tuning, {label_of(run)}",
    )
    num_val = run.summary.get("val_images")
    st.markdown(_in_words(curve, alpha, accuracy, num_val))
    if told := _parts_in_words(curve, alpha, before):
        st.markdown(told)
    st.caption(_caution(num_val))
    _keep(page, run, curve, alpha)


def _at(alpha: float) -> str:
    """Returns an alpha in words that no line break divides."""
    return f"α\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{alpha:g}"


def _in_words(curve: InterpolationCurve, alpha: float, accuracy: float, num_val: int | None) -> str:
    def right(share: float) -> str:
        return f"{_right(share, num_val)}, {percent(share)}" if num_val else percent(share)

    (_, before), (_, after) = curve.points[0], curve.points[-1]
    return (
        f"Validation pictures right at **{_at(alpha)}**: **{right(accuracy)}**. "
        f"Before fine-tuning ({_at(0)}): {right(before)}. After it ({_at(1)}): {right(after)}."
    )


def _parts_in_words(curve: InterpolationCurve, alpha: float, before: float | None) -> str:
    """Says of an update how a blend does on old and on new images; of other runs nothing."""
    old, new = curve.old_and_new(alpha)
    told = [f"old images **{percent(old)}**"] if old is not None else []
    if told and before is not None:
        told[0] += f" (the model before the update: {percent(before)})"
    told += [f"new images **{percent(new)}**"] if new is not None else []
    return f"Of them, {', '.join(told)}." if told else ""


def _caution(num_val: int | None) -> str:
    pictures = f"{num_val} pictures" if num_val else "pictures"
    each = f" (each is {100 / num_val:.1f} points)" if num_val else ""
    return (
        f"An α that is picked because it does best on these {pictures} looks better than it is, "
        f"and the fewer they are{each}, the more so. Where no other pictures tell, the paper "
        f"takes {_at(0.5)}."
    )


def _keep(page: str, run: Run, curve: InterpolationCurve, alpha: float) -> None:
    """Offers to write a blend, or says where it lies."""
    kept = kept_blend(run.id, alpha)
    file = kept.checkpoint if kept else None
    by_whom = "was kept as a checkpoint"
    if alpha == curve.alpha:
        file = run.summary.get("checkpoint")
        by_whom = "is what the run itself kept"
    if file is not None:
        st.markdown(f"{_at(alpha)} {by_whom}:")
        st.code(file, language=None, wrap_lines=True)
        st.caption(HOW_TO_USE)
        return
    clicked = st.button(
        f"Keep {_at(alpha)} as a checkpoint",
        icon=":material/save:",
        help="Writes the blend into the run's folder, and judges it once more.",
        key=f"{page}.keep.{run.id}",
    )
    if not clicked:
        return
    with st.spinner("Blending, and judging the blend on the validation pictures"):
        answer = run_thaw("interpolate", run.id, "--alpha", str(alpha))
    if "error" in answer:
        st.error(plain(answer["error"]), icon=":material/error:")
        return
    st.rerun()
