"""The choice of backbone, its weights and the head, with the facts that a choice needs."""

import json
import subprocess
import sys
from typing import Any

import streamlit as st

from dashboard.roots import allowed_weights
from dashboard.runs import percent, plain
from dashboard.widgets import choice, number_slider
from engine.data.scale import scale_warning
from engine.errors import WeightsError
from engine.models.catalogue import BackboneRecord, backbone_names, backbone_record
from engine.models.weights_files import checkpoint_facts, how_to_get, weights_file
from engine.spec import ImageSpec, field_info

WEIGHTS = {"pretrained": "Pre-trained", "random": "Random", "file": "My file"}
CHECK_SECONDS = 120


def model_section(page: str, images: ImageSpec) -> dict[str, Any] | None:
    """Shows the controls; returns the values of a ModelSpec, None while a file is to be named.

    Args:
        page: prefix of the state keys.
        images: how pictures are prepared, which decides cost and warnings.
    """
    backbone = st.selectbox(
        "Backbone",
        backbone_names(),
        format_func=_name,
        help=f"{field_info('model.backbone').description} Type to search; the Models page shows "
        "all of them with size, cost and licence.",
        key=f"{page}.model.backbone",
        persist_state="session",
    )
    record = backbone_record(backbone)
    st.caption(facts(record, images.size))
    weights = _weights_choice(page, record, images.size)
    for warning in warnings(record, images, weights or "pretrained"):
        st.warning(plain(warning), icon=":material/warning:")
    left, right = st.columns(2)
    with left:
        head = choice(page, "model.head")
    with right:
        dropout = number_slider(page, "model.dropout", step=0.05)
    hidden_units = field_info("model.hidden_units").default
    if head == "mlp":
        hidden_units = number_slider(page, "model.hidden_units", high=1024, step=8)
    if weights is None:
        return None
    return {
        "backbone": backbone,
        "weights": weights,
        "head": head,
        "dropout": dropout,
        "hidden_units": hidden_units,
    }


def _name(name: str) -> str:
    record = backbone_record(name)
    return record.label if record.library == "bundled" else name


def facts(record: BackboneRecord, size: int) -> str:
    """Returns in one line what a backbone is and costs, for pictures of `size` px."""
    parts = [f"{record.num_parameters / 1e6:.1f} M parameters in {len(record.stages)} stages"]
    if (gmacs := record.gmacs_at(size)) is not None:
        parts.append(f"about {gmacs:.2f} GMACs a picture at {size} px")
    parts.append(f"pre-trained at {record.default_size} px")
    if record.top1 is not None:
        parts.append(f"ImageNet top-1 {percent(record.top1)}")
    parts.append(f"licence {record.licence}" if record.licence else "licence not stated")
    return " · ".join(parts)


def warnings(record: BackboneRecord, images: ImageSpec, weights: str) -> list[str]:
    """Returns what a person should know before training this backbone on such pictures."""
    found = []
    if record.sizes == "fixed" and images.size != record.default_size:
        found.append(
            f"{record.label} takes only pictures of {record.default_size} px; set the image size "
            "to that."
        )
    if warning := scale_warning(images, record, weights):
        found.append(warning)
    return found


def _weights_choice(page: str, record: BackboneRecord, size: int) -> str | None:
    picked = st.segmented_control(
        "Weights to start from",
        list(WEIGHTS),
        default="pretrained",
        required=True,
        format_func=WEIGHTS.__getitem__,
        help=field_info("model.weights").description,
        key=f"{page}.model.weights",
        persist_state="session",
    )
    if picked == "random":
        st.caption(
            "Nothing was learnt before: a run to compare with. It is marked wherever it is shown."
        )
        return "random"
    if picked == "file":
        return _own_file(page, record, size)
    if not record.weights_file:
        st.warning(
            f"{plain(record.name)} has no published weights; choose random ones or a file.",
            icon=":material/warning:",
        )
    elif weights_file(record) is not None:
        st.caption(":material/check: The weights are on this machine.")
    elif record.library == "bundled":
        st.warning(
            plain(f"The weights are not installed; {how_to_get(record)}."),
            icon=":material/warning:",
        )
    else:
        with st.container():
            st.caption(
                ":material/download: The weights are not on this machine; they are downloaded when "
                "the run starts. " + plain(f"Without a network, {how_to_get(record)}.")
            )
    return "pretrained"


def _own_file(page: str, record: BackboneRecord, size: int) -> str | None:
    path = st.text_input(
        "Weights file",
        placeholder="/home/me/model.safetensors",
        help="A .safetensors or .pth file on the machine that Thaw runs on: a state dict of this "
        "backbone, with any number of classes, or the checkpoint of an earlier run.",
        key=f"{page}.weights_file",
        persist_state="session",
    ).strip()
    if not path:
        st.info("Type the path of a weights file.", icon=":material/folder_open:")
        return None
    try:
        file = allowed_weights(path)
    except WeightsError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    made_with = checkpoint_facts(str(file))
    if made_with is not None and made_with.backbone != record.name:
        st.error(
            plain(f"This checkpoint was made with {made_with.backbone}; choose that backbone."),
            icon=":material/error:",
        )
        return None
    with st.spinner("Looking into the file"):
        fits, sentence = check_file(record.name, size, str(file), file.stat().st_mtime)
    (st.success if fits else st.error)(plain(sentence))
    return str(file)


@st.cache_data(show_spinner=False, max_entries=50)
def check_file(backbone: str, size: int, file: str, changed: float) -> tuple[bool, str]:
    """Returns whether a weights file fits a backbone, and what matched, in plain words.

    The look happens in a process of its own, since it needs PyTorch.

    Args:
        backbone: full name.
        size: side of the pictures in px, which decides some backbones' shapes.
        file: path.
        changed: when the file was last changed, so that a new one is looked at again.
    """
    command = [sys.executable, "-P", "-m", "engine.models.check_file", backbone, str(size), file]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_SECONDS)
        answer = json.loads(done.stdout)
        return bool(answer["fits"]), str(answer["sentence"])
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return False, f"{file} could not be looked into; it is checked again when the run starts."
