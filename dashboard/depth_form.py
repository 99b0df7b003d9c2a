"""What starts a depth frontier: settings to share, how many runs that makes, and the button."""

from collections.abc import Sequence

import streamlit as st

from dashboard.data_summary import DataSummary, summarise
from dashboard.roots import allowed_images
from dashboard.runs import duration, label_of, plain, store
from dashboard.stage_picture import rate_text
from engine.data import samples
from engine.data.found import LEAST_CLASSES
from engine.errors import ThawError
from engine.insight.frontier import frontier_specs
from engine.models.catalogue import backbone_record
from engine.recipes import RECIPES
from engine.runs.queue import enqueue
from engine.runs.search_space import nested
from engine.spec import RunSpec
from engine.strategies import STRATEGIES
from engine.training.speeds import estimate_time
from engine.update.methods import METHODS

# The Train page's present settings, as JSON.
OF_TRAIN_PAGE = "depth.of_train_page"
TRAIN, NEWEST, RECIPE = "train", "newest", "recipe"
FIRST_RECIPE, FIRST_SAMPLE = "strategy-partial", "clipart"
MOST_SEEDS = 5


def offer_depth(specs: Sequence[RunSpec]) -> None:
    """Shows the Train page's button for a frontier, and hands its settings to the Depth page.

    Args:
        specs: of the runs that the page would start, alike but for their strategy.
    """
    base = _with_rate_of_partial(specs)
    st.session_state[OF_TRAIN_PAGE] = base.model_dump_json()
    named = frontier_specs(base)
    clicked = st.button(
        f"Depth frontier: k = 0 … {len(named) - 1}",
        icon=":material/layers:",
        width="stretch",
        key="depth.offer",
        help=f"Starts {len(named)} runs with these settings, in which the last 0, 1, 2, … and all "
        f"of the stages learn, all at {_rate(base)}, and shows them on the Depth page.",
    )
    if clicked:
        runs = enqueue(store(), named)
        st.switch_page("app_pages/depth.py", query_params={"frontier": runs[0].group_id})


def depth_form(page: str) -> str | None:
    """Shows what a frontier would share; returns the group of the one that was just started.

    Args:
        page: prefix of the state keys.
    """
    bases = _bases()
    picked = st.selectbox(
        "Settings that all depths share",
        list(bases),
        format_func=lambda name: bases[name][0],
        help="Everything but the strategy is taken from there. Other settings are made on the "
        "Train page, which has a button for a frontier too.",
        key=f"{page}.base",
        persist_state="session",
    )
    seeds = st.slider(
        "Runs at each depth",
        1,
        MOST_SEEDS,
        1,
        help="With several, each has a seed of its own: the spread between them shows what is "
        "chance in training. What is chance in the choice of pictures stays.",
        key=f"{page}.seeds",
        persist_state="session",
    )
    try:
        base = bases[picked][1]
        named = frontier_specs(base, seeds)
        # The newest run may be one of the command line, or of another machine.
        least = 1 if base.update.start else LEAST_CLASSES
        allowed_images(base.data, least)
        summary = summarise(base.data.model_dump_json(), least)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        named, summary = [], None
    if summary is not None:
        _show_base(bases[picked][1], len(named), summary)
        st.caption(_time([spec for _, spec in named], summary))
    clicked = st.button(
        f"Start {len(named)} runs" if named else "Start",
        disabled=not named,
        type="primary",
        icon=":material/play_arrow:",
        key=f"{page}.start",
        help="The runs queue up and start by themselves; the page may be closed.",
    )
    return enqueue(store(), named)[0].group_id if clicked and named else None


def _bases() -> dict[str, tuple[str, RunSpec]]:
    """Returns what a frontier can start from, the nearest at hand first: a label and a spec."""
    found: dict[str, tuple[str, RunSpec]] = {}
    if held := st.session_state.get(OF_TRAIN_PAGE):
        found[TRAIN] = ("As the Train page is set now", RunSpec.parse(held))
    if newest := next(iter(store().all_runs()), None):
        found[NEWEST] = (f"As in the newest run: {label_of(newest)}", newest.spec)
    recipe = RECIPES[FIRST_RECIPE]
    folder = str(samples.sample_folder(FIRST_SAMPLE))
    label = "The sample of clip art, with usual settings"
    found[RECIPE] = (label, RunSpec.parse(nested(recipe.settings | {"data.folder": folder})))
    return found


def _with_rate_of_partial(specs: Sequence[RunSpec]) -> RunSpec:
    """Returns the spec of the partial strategy, or the first with the rate that suits that one."""
    own = next((spec for spec in specs if spec.strategy.name == "partial"), None)
    if own is not None:
        return own
    partial = STRATEGIES["partial"]
    lr = st.session_state.get(f"train.optimiser.lr.{partial.name}", partial.default_lr)
    optimiser = specs[0].optimiser.model_copy(update={"lr": lr})
    return specs[0].model_copy(update={"optimiser": optimiser})


def _rate(spec: RunSpec) -> str:
    head, backbone = spec.optimiser.lr, spec.optimiser.backbone_lr
    text = f"learning rate {rate_text(head, digits=9)}"
    return f"{text} (backbone {rate_text(backbone, digits=9)})" if backbone else text


def _show_base(base: RunSpec, num_runs: int, summary: DataSummary) -> None:
    record = backbone_record(base.model.backbone)
    epochs = base.training.epochs
    about = "" if summary.checked else "about "
    st.markdown(
        f"**{num_runs} {_what(base)}**: {plain(record.label)}, {len(record.stages)} stages, at "
        f"{base.images.size} px, on {about}{summary.num_train:,} images of "
        f"{plain(base.data.folder)}, with {summary.num_val:,} to validate on; "
        f"{epochs} epoch{'s' if epochs != 1 else ''} each, **{_rate(base)}** at all depths."
    )


def _what(base: RunSpec) -> str:
    """Returns what runs with such settings are."""
    if not base.update.start:
        return "runs"
    method = METHODS[base.update.method].label.lower()
    return f"updates of the model of {plain(base.update.start)} ({method})"


def _time(specs: Sequence[RunSpec], summary: DataSummary) -> str:
    stages = backbone_record(specs[0].model.backbone).stage_names
    found = [estimate_time(spec, stages, summary.num_train, summary.num_val) for spec in specs]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return (
            "Time: not measured on this machine yet for this backbone; the first runs measure it."
        )
    bound = "At most about" if any(one.at_most for one in known) else "About"
    total = duration(sum(one.seconds for one in known))
    return f"{bound} {total} of computing on this machine, and a few seconds to start each run."
