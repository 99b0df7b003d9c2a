"""What will happen when runs are started: what learns, how long it takes, and the button."""

from collections.abc import Sequence

import streamlit as st

from dashboard.data_summary import DataSummary
from dashboard.runs import duration, store
from dashboard.strategy_choice import in_sentence
from engine.events import ACTIVE
from engine.models.catalogue import BackboneRecord, backbone_record, head_parameters
from engine.runs.experiment import experiment_specs, run_name
from engine.runs.queue import enqueue, num_slots
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from engine.training.plan import rate_plan
from engine.training.speeds import Estimate, estimate_time

# `launch.css` keeps it in sight.
START = "train.start"
# With more runs than this, what they do is scrolled, so that the button stays near.
MOST_SHOWN = 4
SCROLLED_PX = 430


def not_ready(missing: str) -> None:
    """Shows a button that cannot be pressed yet, and says what is missing."""
    st.markdown(f"Choose {missing} first: what will happen is worked out from that.")
    st.button(
        "Start",
        disabled=True,
        type="primary",
        width="stretch",
        key=START,
        help=f"Becomes ready once {missing} can be used.",
    )


def launch_section(specs: Sequence[RunSpec], summary: DataSummary, seeds: int = 1) -> None:
    """Shows what each run will do, and the button that starts them.

    Args:
        specs: one a strategy, alike in data and model.
        summary: of the images.
        seeds: runs of each strategy, with seeds that count up.
    """
    record = backbone_record(specs[0].model.backbone)
    many = len(specs) > MOST_SHOWN
    with st.container(height=SCROLLED_PX if many else "content", border=False):
        for spec in specs:
            _show_plan(spec, record, summary)
    if waiting := [spec for spec in specs if _estimate(spec, record, summary) is None]:
        _wait_for_speed(waiting, record, summary, len(waiting))
    if folds := specs[0].data.folds:
        st.caption(
            f"Each is trained {folds} times, which makes {folds * len(specs)} runs; every image is "
            "held back in one of them."
        )
    if seeds > 1:
        st.caption(_experiment_sentence(specs, record, summary, seeds))
    _show_busy()
    if st.button(
        start_label(specs, seeds),
        type="primary",
        width="stretch",
        icon=":material/play_arrow:",
        key=START,
        help="Starts training in a process of its own and shows it on the Live page.",
    ):
        _launch(specs, seeds)


def _experiment_sentence(
    specs: Sequence[RunSpec], record: BackboneRecord, summary: DataSummary, seeds: int
) -> str:
    """Returns how many runs there will be, and how long they take together."""
    num_runs = len(specs) * seeds * max(1, specs[0].data.folds)
    slots = num_slots()
    at_once = "one after the other" if slots == 1 else f"{slots} at once"
    said = (
        f"**{num_runs} runs in all**: each with {seeds} seeds on the same split, {at_once}. "
        "Compare shows them as one, with what is chance between seeds."
    )
    estimates = [_estimate(spec, record, summary) for spec in specs]
    known = [one for one in estimates if one is not None]
    if len(known) < len(estimates):
        return said
    total = sum(one.seconds for one in known) * num_runs / len(specs)
    # What frozen stages give is computed by the first of the runs and found by the others.
    return (
        f"{said} At most about {duration(total / min(slots, num_runs))} of computing on this "
        f"machine, after a few seconds to start each."
    )


def start_label(specs: Sequence[RunSpec], seeds: int = 1) -> str:
    """Returns what the button says."""
    if seeds > 1:
        num_runs = len(specs) * seeds * max(1, specs[0].data.folds)
        return f"Start the experiment: {num_runs} runs"
    folds = f" on {specs[0].data.folds} folds" if specs[0].data.folds else ""
    if len(specs) == 1:
        return f"Train {in_sentence(STRATEGIES[specs[0].strategy.name].label)}{folds}"
    return f"Train both{folds}" if len(specs) == 2 else f"Train all {len(specs)}{folds}"


def count_learning(spec: RunSpec, record: BackboneRecord, num_classes: int) -> tuple[int, int]:
    """Returns how many parameters ever learn, and how many there are, adapters counted in."""
    strategy, rank = STRATEGIES[spec.strategy.name], spec.strategy.rank
    phases = rate_plan(spec, record.stage_names, steps_per_epoch=1).phases
    stages = {name for phase in phases for name in phase.trainable}
    head = count_head(spec, record, num_classes)
    added = record.count("adapters", rank, record.stage_names) if strategy.adapters else 0
    learning = head + record.count(strategy.select, rank, stages)
    return learning, head + record.num_parameters + added


def count_head(spec: RunSpec, record: BackboneRecord, num_classes: int) -> int:
    """Returns how many parameters the head has."""
    model = spec.model
    return head_parameters(model.head, record.num_features, model.hidden_units, num_classes)


def _show_plan(spec: RunSpec, record: BackboneRecord, summary: DataSummary) -> None:
    learning, total = count_learning(spec, record, len(summary.classes))
    share = learning / total
    # For other picture sizes position embeddings are stretched, so there are more or fewer.
    resized = record.sizes == "resized" and spec.images.size != record.default_size
    about = "about " if resized else ""
    st.markdown(f"**{STRATEGIES[spec.strategy.name].label}**")
    st.progress(share, text=f"{about}{learning:,} of {total:,} parameters will learn ({share:.1%})")
    if (estimate := _estimate(spec, record, summary)) is not None:
        st.caption(time_sentence(estimate))


def time_sentence(estimate: Estimate) -> str:
    """Returns how long a run will take, in words."""
    bound = "At most about" if estimate.at_most else "About"
    return (
        f"{bound} {duration(estimate.seconds)} of computing on this machine, after a few seconds "
        "to start."
    )


def _estimate(spec: RunSpec, record: BackboneRecord, summary: DataSummary) -> Estimate | None:
    return estimate_time(spec, record.stage_names, summary.num_train, summary.num_val)


@st.fragment(run_every=2)
def _wait_for_speed(
    specs: Sequence[RunSpec], record: BackboneRecord, summary: DataSummary, unknown: int
) -> None:
    """Draws the page anew once more is known than was when it was drawn."""
    if sum(_estimate(spec, record, summary) is None for spec in specs) < unknown:
        st.rerun()
    st.caption(
        "Time: not measured on this machine yet for this backbone; the first run measures it."
    )


def _show_busy() -> None:
    active = store().all_runs(ACTIVE)
    if active:
        count = f"{len(active)} run{'s are' if len(active) != 1 else ' is'}"
        st.caption(f"{count} going on or waiting; a new one queues behind and starts by itself.")


def named(spec: RunSpec) -> tuple[str, RunSpec]:
    """Returns a spec with the name that its run gets."""
    return run_name(STRATEGIES[spec.strategy.name].label, spec), spec


def _launch(specs: Sequence[RunSpec], seeds: int) -> None:
    ways = [(STRATEGIES[spec.strategy.name].label, spec) for spec in specs]
    runs = enqueue(store(), experiment_specs(ways, seeds))
    st.switch_page("app_pages/live.py", query_params={"run": [run.id for run in runs]})
