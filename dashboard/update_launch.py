"""What updates will do when they are started, and the button that starts them."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.runs import duration, plain, store
from dashboard.update_images import NewImages
from engine.data.manifest import Manifest
from engine.errors import ThawError
from engine.events import ACTIVE
from engine.models.catalogue import backbone_record
from engine.runs.queue import enqueue, num_slots
from engine.runs.store import Run
from engine.spec import RunSpec
from engine.training.speeds import estimate_time
from engine.update.foreseen import (
    Way,
    named_updates,
    num_seen_again,
    require_learnable,
    way_label,
)
from engine.update.methods import METHODS
from engine.update.request import Base, update_spec


def not_ready(page: str, to_do: str) -> None:
    """Shows a button that cannot be pressed yet, and says what is to be done first."""
    st.markdown(f"{to_do} first: what will happen is worked out from that.")
    st.button(
        "Update",
        disabled=True,
        type="primary",
        width="stretch",
        key=f"{page}.start",
        help=f"{to_do} first.",
    )


def launch_section(
    page: str, base: Base, images: NewImages, ways: Sequence[Way], seeds: int
) -> list[Run]:
    """Shows what each update will do, and the button; returns the runs that it just started.

    Args:
        page: prefix of the state keys.
        base: what is updated.
        images: to update it with.
        ways: methods with their settings.
        seeds: runs of each.
    """
    try:
        specs = [update_spec(base, images.data, w.method, images.answers, w.given) for w in ways]
        for spec in specs:
            require_learnable(spec, images.matching)
        named = named_updates(base, images.data, ways, images.answers, seeds)
        again = [num_seen_again(spec, images.manifest) for spec in specs]
        slots = num_slots()
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        not_ready(page, "Choose other settings")
        return []
    about = "" if images.checked else "about "
    for spec, num_again in zip(specs, again, strict=True):
        st.markdown(f"**{way_label(base, spec)}**")
        st.caption(_sentence(spec, images, num_again))
    _show_judging(images.manifest, about)
    st.caption(_total(named, len(specs), seeds, slots))
    seconds = _seconds(named, again, images.manifest)
    st.caption(
        "Time: not measured on this machine yet for this backbone; the first run measures it."
        if seconds is None
        else f"At most about {duration(seconds / min(slots, len(named)))} of computing on this "
        "machine, and a few seconds to start each."
    )
    _show_busy()
    if not st.button(
        f"Start {len(named)} updates" if len(named) > 1 else "Start the update",
        type="primary",
        width="stretch",
        icon=":material/play_arrow:",
        key=f"{page}.start",
        help="The runs queue up and start by themselves; the page may be closed. The model itself "
        "stays as it is.",
    ):
        return []
    return enqueue(store(), named)


def _sentence(spec: RunSpec, images: NewImages, num_again: int) -> str:
    """Returns what a method learns from, and what learns."""
    num_new, method = len(images.manifest.train), METHODS[spec.update.method]
    num_earlier = len(images.manifest.earlier)
    learns = f"{'' if images.checked else 'about '}{num_new:,} new images"
    if method.old_images == "all":
        learns += f" and all {num_again:,} earlier ones"
    elif num_again:
        learns += f" and {num_again:,} of the {num_earlier:,} earlier ones"
    if not method.steps:
        return f"Takes the mean of each class over {learns}; nothing is trained."
    epochs = spec.training.epochs
    return f"Learns from {learns}, for {epochs} epoch{'s' if epochs != 1 else ''}."


def _show_judging(manifest: Manifest, about: str) -> None:
    num_new = manifest.batches[-1].num_val
    num_old = len(manifest.val) - num_new
    st.markdown(
        f"Judged after each epoch on the **{num_old:,} old** validation images, for what is "
        f"forgotten, and on **{about}{num_new:,} new** ones."
    )


def _total(named: Sequence[tuple[str, RunSpec]], num_ways: int, seeds: int, slots: int) -> str:
    if len(named) == 1:
        return "One run. The model that is updated stays as it is."
    at_once = "one after the other" if slots == 1 else f"{slots} at once"
    with_seeds = f", each method with {seeds} seeds" if seeds > 1 else ""
    folds = named[0][1].data.folds
    with_folds = f", on {folds} folds" if folds else ""
    methods = f"{num_ways} methods" if num_ways > 1 else "one method"
    return (
        f"**{len(named)} runs in all**, {methods}{with_seeds}{with_folds}; {at_once}. The model "
        "that is updated stays as it is."
    )


def _seconds(
    named: Sequence[tuple[str, RunSpec]], again: Sequence[int], manifest: Manifest
) -> float | None:
    """Returns how long all runs will compute, one after the other; None where it is not known."""
    stages = backbone_record(named[0][1].model.backbone).stage_names
    total = 0.0
    # Names and specs go through the ways over and over.
    for place, (_, spec) in enumerate(named):
        num_train = len(manifest.train) + again[place % len(again)]
        found = estimate_time(spec, stages, num_train, len(manifest.val))
        if found is None:
            return None
        total += found.seconds
    return total


def _show_busy() -> None:
    active = store().all_runs(ACTIVE)
    if active:
        count = f"{len(active)} run{'s are' if len(active) != 1 else ' is'}"
        st.caption(f"{count} going on or waiting; new ones queue behind and start by themselves.")


def with_copied(ways: Sequence[Way], more: Mapping[str, object]) -> list[Way]:
    """Returns ways to update with further settings, which their own override."""
    return [Way(way.method, {**more, **way.given}) for way in ways]
