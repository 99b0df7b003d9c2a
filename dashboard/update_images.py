"""The new images of an update: what they are, and which of their classes the model knows."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from dashboard.data_choice import data_spec_of
from dashboard.data_summary import CHECKED_AT_ONCE, thumbnail
from dashboard.roots import allowed_images, is_allowed, require_allowed_images
from dashboard.runs import plain
from dashboard.source_choice import folder_choice
from dashboard.update_names import ask_names
from engine.data import samples
from engine.data.found import LeftOut, as_text
from engine.data.intake import files_of
from engine.data.manifest import MANIFEST_FILE, Item, Manifest, build_manifest
from engine.errors import ThawError
from engine.models.weights_files import is_file
from engine.spec import DataSpec
from engine.update.foreseen import foreseen, images_of_base
from engine.update.known import checkpoint_of
from engine.update.names import Matching
from engine.update.request import Base

NEW_CLIPART = "new-clipart"
MOST_SHOWN = 10
ABOUT_SAMPLE = (
    "A later batch of the sample of clip art: more of three of its classes, and two that it does "
    "not have."
)


@dataclass(frozen=True)
class NewImages:
    """New images, as an update of a model would read them.

    Attributes:
        data: names them.
        answers: of classes whose name left it open: the model's class that it is, or "".
        matching: which class of theirs is which.
        manifest: of an update in which only they are learnt from.
        checked: whether each was opened; many are when a run starts.
    """

    data: DataSpec
    answers: dict[str, str]
    matching: Matching
    manifest: Manifest
    checked: bool


def images_section(page: str, base: Base) -> NewImages | None:
    """Shows the choice of new images, and asks of what their names leave open.

    Args:
        page: prefix of the state keys.
        base: the model that is updated.

    Returns:
        The images, None while they cannot be used or a name is open.
    """
    folder = folder_choice(page, {NEW_CLIPART: "Sample: new clip art"})
    if folder is None:
        return None
    if folder == NEW_CLIPART:
        st.caption(ABOUT_SAMPLE)
        folder = str(samples.sample_folder("clipart").parent / "new")
    try:
        data = data_spec_of(page, folder, least_classes=1)
        new, checked = _new_manifest(data.model_dump_json())
        answers, matching = ask_names(page, base, new.classes)
        manifest = None
        if not matching.open:
            manifest = foreseen(base, _old_manifest(base), data, new, matching)
    except ThawError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    _show(base, new, matching, manifest, checked)
    return None if manifest is None else NewImages(data, answers, matching, manifest, checked)


@st.cache_data(ttl=20, max_entries=20, show_spinner="Looking at the pictures…")
def _new_manifest(data_json: str) -> tuple[Manifest, bool]:
    """Returns the images of a DataSpec, given as JSON, and whether each was opened.

    Raises:
        DataError: the folder cannot be used.
    """
    data = DataSpec.parse(data_json)
    found = files_of(data, least_classes=1)
    if sum(map(len, (*found.train, *(found.val or ())))) <= CHECKED_AT_ONCE:
        return build_manifest(data, least_classes=1), True
    train, val = found.train, found.val
    if val is None:
        share = 1 / data.folds if data.folds else data.val_fraction
        val = tuple(group[: round(share * len(group))] for group in train)
        train = tuple(group[round(share * len(group)) :] for group in train)
    train = tuple(group[: max(1, round(data.train_fraction * len(group)))] for group in train)
    splits = (_items(train), _items(val))
    return Manifest(found.classes, *splits, found.left_out, "", found.notes), False


def _items(files_by_class: Sequence[Sequence[Path]]) -> tuple[Item, ...]:
    return tuple(
        Item(str(path), label) for label, files in enumerate(files_by_class) for path in files
    )


def _old_manifest(base: Base) -> Manifest:
    """Returns the images of the model, none of which lies where nothing may be read.

    Raises:
        DataError: one does, or they are not known.
    """
    beside = checkpoint_of(base.start).parent / MANIFEST_FILE
    if not is_file(beside):
        allowed_images(base.spec.data)
    changed = beside.stat().st_mtime_ns if is_file(beside) else 0
    manifest = _known_manifest(base, changed)
    require_allowed_images(manifest, base.name)
    return manifest


@st.cache_data(
    ttl=20,
    max_entries=10,
    show_spinner="Looking at the earlier pictures…",
    hash_funcs={Base: lambda base: base.start + json.dumps(base.classes)},
)
def _known_manifest(base: Base, changed: int) -> Manifest:
    """Returns the images of a model, whose list was last written at a time."""
    return images_of_base(base)


def _show(
    base: Base, new: Manifest, matching: Matching, manifest: Manifest | None, checked: bool
) -> None:
    """Says which classes there are, how many images, and shows one of each class."""
    about = "" if checked else "about "
    used = new if manifest is None else replace(new, train=manifest.train)
    num_val = len(new.val) if manifest is None else manifest.batches[-1].num_val
    st.markdown(
        f"**{len(new.classes)} classes**, {about}{len(used.train):,} images to learn from and "
        f"{num_val:,} to judge by."
    )
    for sentence in _sentences(base, new, matching):
        st.markdown(sentence)
    _show_examples(new, matching)
    for note in (new if manifest is None else manifest).notes:
        st.caption(plain(note))
    if manifest is not None:
        _warn_of_known(manifest)
    if not checked:
        st.caption("The folder is large: each picture is opened and checked when a run starts.")
    _show_table(new, matching)
    _show_left_out((new if manifest is None else manifest).left_out)


def _warn_of_known(manifest: Manifest) -> None:
    """Says where images are not as new as they should be."""
    if not manifest.batches[-1].num_val:
        st.warning(
            "No image is left to judge by that is new to the model, so what it gains cannot be "
            "said; only what it forgets.",
            icon=":material/visibility_off:",
        )
    earlier = {item.digest or item.path for item in manifest.earlier}
    count = sum((item.digest or item.path) in earlier for item in manifest.train)
    if count:
        st.warning(
            f"The model has learnt from {count:,} of these {len(manifest.train):,} images before.",
            icon=":material/history:",
        )


def _sentences(base: Base, new: Manifest, matching: Matching) -> list[str]:
    found = []
    known = [
        plain(name) if name == meant else f"{plain(name)} (as {plain(meant)})"
        for name, meant in matching.known.items()
    ]
    if known:
        found.append(f":material/check: **The model knows** {len(known)}: {_listed(known)}.")
    if matching.new:
        names = [plain(name) for name in matching.new]
        found.append(f":material/add: **New to it** are {len(names)}: {_listed(names)}.")
    if matching.open:
        names = [plain(name) for name in matching.open]
        found.append(f":material/help: **Not settled** are {len(names)}: {_listed(names)}.")
    absent = len(set(base.classes) - set(matching.known.values()))
    if absent and not matching.open:
        found.append(
            f":material/history: {absent} of the model's {len(base.classes)} classes have no new "
            "images: those are the first to be forgotten."
        )
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more


def _state(name: str, matching: Matching) -> str:
    if name in matching.open:
        return "not settled"
    return "new" if name in matching.new else f"known as {matching.known[name]}"


def _show_examples(new: Manifest, matching: Matching) -> None:
    """Shows a picture of each class, new ones first."""
    first = {item.label: item.path for item in reversed((*new.train, *new.val))}
    order = sorted(first, key=lambda label: new.classes[label] in matching.known)
    with st.container(horizontal=True, gap="small"):
        for label in order[:MOST_SHOWN]:
            name = new.classes[label]
            picture = thumbnail(first[label]) if is_allowed(first[label]) else None
            if picture is not None:
                mark = (
                    "" if name in matching.known else " (new)" if name in matching.new else " (?)"
                )
                st.image(picture, caption=plain(name + mark), width=72)


def _show_table(new: Manifest, matching: Matching) -> None:
    train, val = (Counter(item.label for item in items) for items in (new.train, new.val))
    labels = range(len(new.classes))
    with st.expander("Class by class", icon=":material/list:"):
        st.dataframe(
            {
                "class": list(new.classes),
                "for the model": [_state(name, matching) for name in new.classes],
                "to learn from": [train[label] for label in labels],
                "to judge by": [val[label] for label in labels],
            },
            hide_index=True,
        )


def _show_left_out(left_out: Sequence[LeftOut]) -> None:
    count = len(left_out)
    if not count:
        return
    with st.expander(
        f"{count} file{'s' if count != 1 else ''} will be left out", icon=":material/warning:"
    ):
        st.dataframe(
            {
                "file": [as_text(file.path) for file in left_out],
                "reason": [file.reason for file in left_out],
            },
            hide_index=True,
        )
