"""The instant head on the Train page: it is trained anew whenever a slider moves."""

import time
import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import streamlit as st

from dashboard.charts import Curve, accuracy_figure, loss_figure
from dashboard.confusion_charts import confusion_figure
from dashboard.palette import run_colour
from dashboard.plan_summary import named
from dashboard.runs import duration, percent, plain, store
from dashboard.show import show_chart
from engine.events import MetricEvent
from engine.runs.instant import Answer, InstantHelper
from engine.runs.queue import enqueue
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from engine.training.plan import same_every_epoch

# So long the page waits before it shows that the answer is still to come.
WAIT_SECONDS = 0.6
POLL_SECONDS = 0.4


@cache
def helper() -> InstantHelper:
    """Returns the one helper of this process."""
    return InstantHelper()


def instant_section(page: str, specs: Sequence[RunSpec]) -> None:
    """Shows what the frozen head of these settings comes to, once a person asked for it.

    Args:
        page: prefix of the state keys.
        specs: of the runs that are about to be started.
    """
    with st.container(border=True, key=f"{page}-head"):
        wanted = st.toggle(
            "Instant head",
            help="Trains the frozen strategy's head anew at each move of a slider, on features "
            "that are computed once for these pictures and this backbone. No run is started.",
            key=f"{page}.instant",
            persist_state="session",
        )
        who = st.session_state.setdefault(f"{page}.instant.who", uuid.uuid4().hex)
        if not wanted:
            helper().forget(who)
            st.caption(
                "See what learning rate, epochs, weight decay, dropout, hidden units and label "
                "smoothing do to a frozen backbone's head while you move them."
            )
            return
        spec = next((one for one in specs if one.strategy.name == "frozen"), None)
        if spec is None:
            helper().forget(who)
            st.info("Choose the strategy Frozen: only its head is instant.", icon=":material/bolt:")
        elif not same_every_epoch(spec):
            helper().forget(who)
            st.info(
                "Features differ from epoch to epoch with these settings: choose no augmentation "
                "or some views of it, no mixup, no CutMix, and BatchNorm that does not update "
                "frozen stages.",
                icon=":material/bolt:",
            )
        else:
            helper().ask(who, spec)
            answer = helper().wait(who, WAIT_SECONDS)
            if answer is not None and answer.is_open:
                _follow(who)
            elif answer is not None:
                _show(page, spec, answer)


@st.fragment(run_every=POLL_SECONDS)
def _follow(who: str) -> None:
    """Shows how far the helper is; once it has answered, the page is drawn anew."""
    answer = helper().wait(who, 0.0)
    if answer is None or not answer.is_open:
        st.rerun()
    assert answer is not None
    started = answer.state == "working"
    task = answer.task[0].upper() + answer.task[1:] if started else "Getting ready"
    share = min(answer.done / answer.total, 1.0) if answer.total else 0.0
    st.progress(
        share, f"{task}: {answer.done:,} of {answer.total:,}" if answer.total else f"{task} …"
    )
    if answer.task == "computing features":
        st.caption("Once for these pictures and this backbone; every run finds them then.")


def _show(page: str, spec: RunSpec, answer: Answer) -> None:
    if answer.state == "failed":
        st.error(plain(answer.reason), icon=":material/error:")
        return
    head = answer.head
    left, right = st.columns(2, vertical_alignment="center")
    left.metric(
        "Best validation accuracy",
        percent(head["best_val_accuracy"]),
        help=f"Of {head['num_val']:,} pictures; the head learnt from {head['num_train']:,}.",
    )
    right.caption(
        f"Epoch {head['best_epoch']} of {spec.training.epochs}, trained in "
        f"{duration(head['seconds'])}."
    )
    frozen = STRATEGIES["frozen"]
    colour = run_colour(frozen.temperature, 0)
    curve = Curve(frozen.label, colour, _events(answer.epochs))
    for name, figure in (
        ("accuracy", accuracy_figure([curve], "epochs")),
        ("loss", loss_figure([curve], "epochs")),
    ):
        figure.update_layout(height=210, showlegend=False)
        figure.update_yaxes(title=name, selector={"overlaying": None})
        show_chart(
            figure,
            key=f"{page}.instant.{name}",
            name=f"Instant head {name} against epochs",
            alt=f"{name.capitalize()} of the instant head against epochs; training is dotted",
        )
    counts_KK = np.array(head["confusion_KK"], dtype=np.int64)
    with st.expander("Which classes are taken for which", icon=":material/grid_on:"):
        show_chart(
            confusion_figure(counts_KK, head["classes"], colour),
            key=f"{page}.instant.confusion",
            name="Confusion matrix of the instant head",
        )
    if (told := _features_sentence(answer.features)) is not None:
        st.caption(told)
    _keep_button(page, spec)


def _events(epochs: Sequence[dict[str, Any]]) -> list[MetricEvent]:
    return [
        MetricEvent("", number, 0.0, "epoch", epoch["epoch"], epoch["epoch"], epoch)
        for number, epoch in enumerate(epochs, start=1)
    ]


def _features_sentence(features: dict[str, Any]) -> str | None:
    if not features:
        return None
    size = f"{features['features_mib']:,.1f} MiB for {features['features_images']:,} pictures"
    took = duration(features["features_seconds"])
    if note := features.get("features_note"):
        return plain(f"Features are held in memory only ({size}): {note}")
    off = features.get("features_logits_off")
    half = "" if off is None else f" In half precision logits are off by at most {off:.1g}."
    if features["features_found"]:
        return f"Features were found in the cache: {size}, which saved {took}.{half}"
    return f"Features were computed in {took} and are kept: {size}.{half}"


def _keep_button(page: str, spec: RunSpec) -> None:
    kept_key = f"{page}.instant.kept"
    if st.button(
        "Keep as a run",
        icon=":material/bookmark_add:",
        key=f"{page}.instant.keep",
        width="stretch",
        help="Trains the same settings the ordinary way, which gives the same numbers, and keeps "
        "the model; a few seconds, since the features are there.",
    ):
        [run] = enqueue(store(), [named(spec)])
        st.session_state[kept_key] = (run.id, spec.model_dump_json(), time.time())
    kept = st.session_state.get(kept_key)
    if kept is not None and kept[1] == spec.model_dump_json():
        st.page_link(
            "app_pages/live.py",
            label=f"Kept as run {kept[0][:4]}: see it on Live",
            icon=":material/monitoring:",
            query_params={"run": kept[0]},
        )
