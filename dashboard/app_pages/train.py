"""Train: choose data, set the sliders, start one run or the pair."""

from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.data_summary import DataSummary, summarise, thumbnail
from dashboard.model_choice import model_section
from dashboard.recipe_choice import recipe_choice
from dashboard.runs import duration, plain, store
from dashboard.widgets import (
    choice,
    image_size_slider,
    learning_rate_slider,
    number_slider,
    switch,
)
from engine.data.folders import find_images
from engine.data.samples import SAMPLES, sample_folder
from engine.errors import ThawError
from engine.models.catalogue import BackboneRecord, backbone_record, head_parameters
from engine.runs.queue import enqueue
from engine.spec import DataSpec, ImageSpec, RunSpec, field_info
from engine.strategies import STRATEGIES, Strategy
from engine.training.speeds import estimate_seconds

PAGE = "train"
BOTH = "both"
MY_FOLDER = "folder"


def main() -> None:
    """Lays the page out: settings on the left, what will happen and the button on the right."""
    st.title("How should this model be updated with your images?")
    st.markdown(
        "Pick images, leave the sliders or move them, press the button. Thaw trains the same "
        "pre-trained network **frozen** (only its new head learns) and **full** (every weight "
        "learns) on your pictures, and shows which was worth it."
    )
    settings, launch = st.columns([3, 2], gap="large")
    with settings:
        data, summary = _data_section()
        recipe_choice(PAGE)
        values, names = _settings_section()
    with launch:
        _launch_section(data, summary, values, names)


def _data_section() -> tuple[DataSpec | None, DataSummary | None]:
    st.subheader("1 · Images", anchor=False)
    labels = {"clipart": "Sample: clip art", "digits": "Sample: digits", MY_FOLDER: "My folder"}
    source = st.segmented_control(
        "Where the images are",
        list(labels),
        default="clipart",
        required=True,
        format_func=labels.__getitem__,
        help="The samples come with Thaw. A folder of your own lies on the machine that Thaw "
        "runs on and has one folder a class.",
        key=f"{PAGE}.source",
        persist_state="session",
    )
    if source == MY_FOLDER:
        folder = st.text_input(
            "Folder",
            placeholder="/home/me/photos",
            help=field_info("data.folder").description,
            key=f"{PAGE}.folder",
            persist_state="session",
        ).strip()
        if not folder:
            st.info(
                "Type the path of a folder with one folder of images a class, for example "
                "`photos/cats` and `photos/dogs`, or `photos/train/cats` with `photos/val/cats`.",
                icon=":material/folder_open:",
            )
            return None, None
    else:
        st.caption(SAMPLES[source])
        folder = str(sample_folder(source))
    try:
        data = _data_spec(folder)
        summary = summarise(data.model_dump_json())
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None, None
    _show_summary(summary)
    return data, summary


def _data_spec(folder: str) -> DataSpec:
    """Returns the spec; asks for the share to hold back where the folder has no split.

    Raises:
        SpecError: what was typed is no path.
        DataError: the folder cannot be used.
    """
    data = DataSpec.parse({"folder": folder})
    if find_images(Path(data.folder)).val is not None:
        return data
    fraction = number_slider(PAGE, "data.val_fraction", step=0.05)
    return DataSpec(folder=folder, val_fraction=fraction)


def _show_summary(summary: DataSummary) -> None:
    about = "" if summary.checked else "about "
    st.markdown(
        f"**{len(summary.classes)} classes**, {about}{summary.num_train:,} images to train on and "
        f"{summary.num_val:,} to validate on."
    )
    shown = [(name, thumbnail(path)) for name, path in summary.examples[:10]]
    with st.container(horizontal=True, gap="small"):
        for name, picture in shown:
            if picture is not None:
                st.image(picture, caption=plain(name), width=72)
    if not summary.checked:
        st.caption("The folder is large: each picture is opened and checked when a run starts.")
    if summary.left_out:
        count = len(summary.left_out)
        with st.expander(
            f"{count} file{'s' if count != 1 else ''} will be left out", icon=":material/warning:"
        ):
            st.dataframe(
                {
                    "file": [file.path for file in summary.left_out],
                    "reason": [file.reason for file in summary.left_out],
                },
                hide_index=True,
            )


def _settings_section() -> tuple[dict[str, Any], list[str]]:
    """Shows the controls; returns the spec's parts but for data, and the strategies to run."""
    st.subheader("2 · Strategy", anchor=False)
    labels = {BOTH: "Both, to compare"} | {name: s.label for name, s in STRATEGIES.items()}
    picked = st.segmented_control(
        "How the pre-trained weights are updated",
        list(labels),
        default=BOTH,
        required=True,
        format_func=labels.__getitem__,
        help="Both starts a pair of runs on the same images, split, seed and order.\n\n"
        + "\n".join(f"- **{s.label}**: {s.sentence}" for s in STRATEGIES.values()),
        key=f"{PAGE}.strategy",
        persist_state="session",
    )
    names = ["frozen", "full"] if picked == BOTH else [str(picked)]
    rates: dict[str, float] = {}
    for name, column in zip(names, st.columns(len(names)), strict=True):
        strategy = STRATEGIES[name]
        with column:
            label = f"Learning rate, {strategy.label.lower()} (per step)"
            rates[name] = learning_rate_slider(PAGE, f".{name}", strategy.default_lr, label)
    left, right = st.columns(2)
    with left:
        epochs = number_slider(PAGE, "training.epochs", high=100)
    with right:
        batch_size = st.select_slider(
            "Batch size (images)",
            [4, 8, 16, 32, 64, 128, 256],
            value=field_info("training.batch_size").default,
            help=field_info("training.batch_size").description,
            key=f"{PAGE}.training.batch_size",
            persist_state="session",
        )
    st.subheader("3 · Pictures", anchor=False)
    left, right = st.columns(2)
    with left:
        size = image_size_slider(PAGE)
        augmentation = choice(PAGE, "images.augmentation")
    with right:
        fit = choice(PAGE, "images.fit")
        normalisation = choice(PAGE, "images.normalisation")
    images = ImageSpec.parse(
        {"size": size, "fit": fit, "augmentation": augmentation, "normalisation": normalisation}
    )
    st.subheader("4 · Model", anchor=False)
    model = model_section(PAGE, images)
    optimiser, label_smoothing, early_stopping, seed = _more_section()
    values = {
        "model": model,
        "images": images.model_dump(),
        "optimiser": optimiser,
        "training": {
            "epochs": epochs,
            "batch_size": batch_size,
            "label_smoothing": label_smoothing,
            "early_stopping": early_stopping,
        },
        "seed": seed,
        "rates": rates,
    }
    return values, names


def _more_section() -> tuple[dict[str, Any], float, int, int]:
    optimiser: dict[str, Any] = {}
    with st.expander("Optimiser, schedule, regularisation, seed"):
        left, right = st.columns(2)
        with left:
            optimiser["name"] = choice(PAGE, "optimiser.name")
            optimiser["weight_decay"] = st.select_slider(
                "Weight decay (per step)",
                [0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 5e-2, 0.1],
                value=field_info("optimiser.weight_decay").default,
                format_func=lambda value: f"{value:g}",
                help=field_info("optimiser.weight_decay").description,
                key=f"{PAGE}.optimiser.weight_decay",
                persist_state="session",
            )
            seed = int(
                st.number_input(
                    "Seed",
                    0,
                    2**31 - 1,
                    0,
                    help=field_info("seed").description,
                    key=f"{PAGE}.seed",
                    persist_state="session",
                )
            )
        with right:
            optimiser |= _schedule_choice()
            label_smoothing = number_slider(PAGE, "training.label_smoothing", step=0.05)
            early_stopping = number_slider(PAGE, "training.early_stopping", high=50)
    return optimiser, label_smoothing, early_stopping, seed


def _schedule_choice() -> dict[str, Any]:
    schedule = choice(PAGE, "optimiser.schedule")
    if schedule != "exponential":
        return {"schedule": schedule}
    return {
        "schedule": schedule,
        "decay_rate": number_slider(PAGE, "optimiser.decay_rate", low=0.01, step=0.01),
        "decay_steps": number_slider(PAGE, "optimiser.decay_steps", high=10_000),
        "staircase": switch(PAGE, "optimiser.staircase"),
    }


def _specs(data: DataSpec, values: dict[str, Any], names: list[str]) -> list[RunSpec]:
    shared = {part: value for part, value in values.items() if part != "rates"}
    return [
        RunSpec.parse(
            shared
            | {
                "data": data.model_dump(),
                "strategy": {"name": name},
                "optimiser": values["optimiser"] | {"lr": values["rates"][name]},
            }
        )
        for name in names
    ]


def _launch_section(
    data: DataSpec | None, summary: DataSummary | None, values: dict[str, Any], names: list[str]
) -> None:
    with st.container(border=True):
        st.subheader("What will happen", anchor=False)
        if data is None or summary is None or values["model"] is None:
            what = "a weights file" if values["model"] is None else "images"
            st.markdown(f"Choose {what} first: what will happen is worked out from that.")
            st.button(
                "Start",
                disabled=True,
                type="primary",
                width="stretch",
                help=f"Becomes ready once {what} can be used.",
            )
            return
        specs = _specs(data, values, names)
        record = backbone_record(specs[0].model.backbone)
        for spec in specs:
            _show_plan(spec, record, summary)
        _show_waiting()
        label = "Train both" if len(specs) > 1 else f"Train {STRATEGIES[names[0]].label.lower()}"
        if st.button(
            label,
            type="primary",
            width="stretch",
            icon=":material/play_arrow:",
            help="Starts training in a process of its own and shows it on the Live page.",
        ):
            _launch(data, specs)


def _show_plan(spec: RunSpec, record: BackboneRecord, summary: DataSummary) -> None:
    strategy = STRATEGIES[spec.strategy.name]
    learning, total = _count_parameters(spec, record, strategy, len(summary.classes))
    share = learning / total
    st.markdown(f"**{strategy.label}**: {strategy.sentence}")
    # For other picture sizes position embeddings are stretched, so there are more or fewer.
    resized = record.sizes == "resized" and spec.images.size != record.default_size
    about = "about " if resized else ""
    st.progress(share, text=f"{about}{learning:,} of {total:,} parameters will learn ({share:.1%})")
    seconds = _estimate(spec, record, summary)
    if seconds is None:
        _wait_for_speed(spec, record, summary)
    else:
        st.caption(
            f"About {duration(seconds)} of computing on this machine, after a few seconds to start."
        )


def _estimate(spec: RunSpec, record: BackboneRecord, summary: DataSummary) -> float | None:
    strategy = STRATEGIES[spec.strategy.name]
    learns = bool(strategy.ever_trainable(record.stage_names, spec.training.epochs))
    return estimate_seconds(spec, summary.num_train, summary.num_val, learns)


@st.fragment(run_every=2)
def _wait_for_speed(spec: RunSpec, record: BackboneRecord, summary: DataSummary) -> None:
    if _estimate(spec, record, summary) is not None:
        st.rerun()
    st.caption(
        "Time: not measured on this machine yet for this backbone; the first run measures it."
    )


def _count_parameters(
    spec: RunSpec, record: BackboneRecord, strategy: Strategy, num_classes: int
) -> tuple[int, int]:
    head = head_parameters(
        spec.model.head, record.num_features, spec.model.hidden_units, num_classes
    )
    learning_stages = strategy.ever_trainable(record.stage_names, spec.training.epochs)
    in_stages = sum(s.num_parameters for s in record.stages if s.name in learning_stages)
    return head + in_stages, head + record.num_parameters


def _show_waiting() -> None:
    active = store().all_runs(("queued", "running", "stopping"))
    if active:
        count = f"{len(active)} run{'s are' if len(active) != 1 else ' is'}"
        st.caption(f"{count} going on or waiting; a new one queues behind and starts by itself.")


def _launch(data: DataSpec, specs: list[RunSpec]) -> None:
    folder = Path(data.folder)
    name = folder.parent.name if folder.name == "base" else folder.name
    named = [(f"{STRATEGIES[spec.strategy.name].label} · {name}", spec) for spec in specs]
    runs = enqueue(store(), named)
    st.switch_page("app_pages/live.py", query_params={"run": [run.id for run in runs]})


main()
