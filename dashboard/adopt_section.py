"""Adopt an update where a rule holds beyond noise, and what was adopted and undone so far."""

from datetime import datetime

import pandas as pd
import streamlit as st

from dashboard.adopt_charts import judgement_figure
from dashboard.runs import plain, store
from dashboard.show import show_chart
from dashboard.words import names_of
from engine.errors import SpecError, ThawError
from engine.runs.store import Adoption, Run
from engine.update.adopting import (
    Standing,
    adopt,
    standing_of,
    undo_adoption,
    update_to_adopt,
    why_not_next,
)
from engine.update.gate import Judgement, Rule, judge

CONFIDENCES = (0.8, 0.9, 0.95, 0.975, 0.99)
MOST_FORGOTTEN, MOST_GAINED = 20.0, 50.0


def adopt_section(run: Run, page: str = "update") -> None:
    """Shows whether an update may be adopted by a rule, adopts it, and shows the record.

    Args:
        run: the update.
        page: prefix of the state keys.
    """
    standing = standing_of(store(), run.id)
    _say_what_is_in_use(standing)
    _say_what_failed(page)
    if standing.in_use != run.id or not run.spec.update.start:
        _gate(page, standing, run)
    _record(page, standing)


def _say_what_is_in_use(standing: Standing) -> None:
    there = standing.family.members.get(standing.in_use)
    name = plain(f"{there.name} · {there.key[:4]}" if there else standing.in_use)
    if there is not None and there.sentence:
        st.warning(f"In use is **{name}**. {plain(there.sentence)}", icon=":material/warning:")
    elif there is None:
        st.warning(f"In use is {name}, which is not here any more.", icon=":material/warning:")
    elif standing.record:
        st.success(f"In use is **{name}**.", icon=":material/check_circle:")
    else:
        st.caption(f"No update was adopted yet, so in use is the first model, **{name}**.")


def _say_what_failed(page: str) -> None:
    failed = st.session_state.pop(f"{page}.adopt.failed", None)
    if failed:
        st.error(plain(failed), icon=":material/error:")


def _gate(page: str, standing: Standing, run: Run) -> None:
    try:
        update = update_to_adopt(run)
    except SpecError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    rule = _rule(page)
    judgement = judge(update, rule)
    _verdict(page, run, judgement)
    out_of_turn = why_not_next(standing, run)
    if out_of_turn:
        st.markdown(f":material/cancel: {plain(out_of_turn)}")
    _button(page, run, rule, judgement.holds and not out_of_turn)


def _rule(page: str) -> Rule:
    default = Rule()
    left, middle, right = st.columns(3)
    with left:
        forgotten = st.slider(
            "Old accuracy may fall by (points)",
            0.0,
            MOST_FORGOTTEN,
            100 * default.most_forgotten,
            0.5,
            format="%.1f",
            help="By which accuracy on the validation images of earlier batches may fall at most.",
            key=f"{page}.adopt.most_forgotten",
        )
    with middle:
        gained = st.slider(
            "New accuracy has to rise by (points)",
            0.0,
            MOST_GAINED,
            100 * default.least_gained,
            0.5,
            format="%.1f",
            help="By which accuracy on the new batch's validation images has to rise at least.",
            key=f"{page}.adopt.least_gained",
        )
    with right:
        confidence = st.select_slider(
            "Confidence",
            CONFIDENCES,
            default.confidence,
            format_func=lambda one: f"{100 * one:g} %",
            help="How sure each of the two has to be: with 95 %, an update that breaks the rule "
            "passes in 5 of 100 cases at most.",
            key=f"{page}.adopt.confidence",
        )
    return Rule(forgotten / 100, gained / 100, confidence)


def _verdict(page: str, run: Run, judgement: Judgement) -> None:
    show_chart(
        judgement_figure(judgement),
        key=f"{page}.adopt.chart.{run.id}",
        name=f"change by the update {names_of([run])}",
        alt=" ".join(judgement.sentences),
    )
    for part, sentence in zip((judgement.old, judgement.new), judgement.sentences, strict=True):
        sign = "check_circle" if part.holds else "cancel"
        st.markdown(f":material/{sign}: {plain(sentence)}")
    either = 100 * (2 * judgement.rule.confidence - 1)
    st.caption(
        "Both models answered the same images. A bar has to lie wholly to the right of its dotted "
        f"mark; each of its ends is sure by {100 * judgement.rule.confidence:g} %, both together "
        f"by {either:g} % (score interval for pairs, Tango 1998). It tells what other images like "
        "these would give, not what another seed would."
    )


def _button(page: str, run: Run, rule: Rule, holds: bool) -> None:
    force = False
    if not holds:
        force = st.checkbox(
            "Adopt it against the rule; the record says so",
            help="The rule does not hold for this update, or it was judged against another model "
            "than the one in use.",
            key=f"{page}.adopt.force.{run.id}",
        )
    st.button(
        "Adopt" if holds or not force else "Adopt against the rule",
        icon=":material/verified:",
        type="primary",
        disabled=not holds and not force,
        on_click=_adopt,
        args=(page, run, rule, force),
        help="Takes this model into use in place of the one that it updates. Nothing is copied or "
        "removed, and it can be undone."
        if holds or force
        else "The rule does not hold; see above.",
        key=f"{page}.adopt.button.{run.id}",
    )


def _adopt(page: str, run: Run, rule: Rule, force: bool) -> None:
    try:
        adopt(store(), store().run(run.id), rule, force)
    except ThawError as error:
        st.session_state[f"{page}.adopt.failed"] = str(error)


def _undo(page: str, run_id: str) -> None:
    try:
        undo_adoption(store(), run_id)
    except ThawError as error:
        st.session_state[f"{page}.adopt.failed"] = str(error)


def _record(page: str, standing: Standing) -> None:
    if not standing.record:
        return
    names = {one.key: one.name for one in standing.family.members.values()}
    if len(standing.stack) > 1:
        before = names.get(standing.stack[-2], standing.stack[-2])
        st.button(
            f"Undo: back to {plain(before)}",
            icon=":material/undo:",
            on_click=_undo,
            args=(page, standing.in_use),
            help="Takes the model before into use again; the record keeps both.",
            key=f"{page}.adopt.undo",
        )
    with st.expander(f"Record ({len(standing.record):,})", icon=":material/history:"):
        st.dataframe(
            pd.DataFrame([_line(one, names) for one in reversed(standing.record)]),
            hide_index=True,
            key=f"{page}.adopt.record",
        )


def _line(one: Adoption, names: dict[str, str]) -> dict[str, object]:
    rule = one.details.get("rule")
    return {
        "when": datetime.fromtimestamp(one.time).strftime("%Y-%m-%d %H:%M"),
        "what": one.kind + (", against the rule" if one.details.get("forced") else ""),
        "update": f"{one.details.get('name', 'run')} · {one.run_id[:4]}",
        "in use since": names.get(one.in_use, one.in_use),
        "old": _change(one, "old"),
        "new": _change(one, "new"),
        "rule": Rule(**rule).sentence if rule else "",
    }


def _change(one: Adoption, part: str) -> str:
    change = (one.details.get(part) or {}).get("change")
    if not change:
        return "–"
    value, low, high = (100 * change[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"
