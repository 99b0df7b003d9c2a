"""Models: every backbone, what it costs, and whether its weights are here."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts import stage_bars
from dashboard.model_choice import facts
from dashboard.runs import plain
from dashboard.show import show_chart
from dashboard.widgets import image_size_slider
from engine.models.catalogue import (
    LIBRARIES,
    BackboneRecord,
    refused,
    search,
)
from engine.models.weights_files import weights_file

PAGE = "models"


def main() -> None:
    """Lays the page out: search, table, and what is known of the chosen one."""
    st.title("Models")
    st.markdown(
        "Every pre-trained backbone that Thaw can update. Pick a row to see its stages and to "
        "use it on the Train page."
    )
    left, middle, right = st.columns([3, 2, 2])
    text = left.text_input(
        "Search",
        placeholder="mobilenet in1k",
        help="Words that the name must hold, in any order.",
        key=f"{PAGE}.text",
        persist_state="session",
    )
    library = middle.selectbox(
        "Library",
        ["", *LIBRARIES],
        format_func=lambda name: name or "all",
        help="Who wrote the architecture; `bundled` weights come as a package.",
        key=f"{PAGE}.library",
        persist_state="session",
    )
    with right:
        size = image_size_slider(PAGE, help_text="The cost is stated for pictures of this size.")
    only_here = st.toggle(
        "Only those whose weights are on this machine",
        help="The others are downloaded when a run starts.",
        key=f"{PAGE}.here",
        persist_state="session",
    )
    found = search(text, library)
    here = {record.name: weights_file(record) is not None for record in found}
    if only_here:
        found = [record for record in found if here[record.name]]
    # A table of its own for each search, or a picked row would become another backbone.
    _table(found, here, size, key=f"{PAGE}.table.{text}.{library}.{only_here}")
    _left_out(text)


def _table(found: list[BackboneRecord], here: dict[str, bool], size: int, key: str) -> None:
    st.caption(f"{len(found):,} backbone{'' if len(found) == 1 else 's'}")
    if not found:
        st.info("No backbone fits; use fewer words or another library.", icon=":material/search:")
        return
    cost = f"GMACs at {size} px"
    frame = pd.DataFrame(
        {
            "backbone": [record.name for record in found],
            "parameters (M)": [record.num_parameters / 1e6 for record in found],
            cost: [record.gmacs_at(size) for record in found],
            "own size (px)": [record.default_size for record in found],
            "ImageNet top-1 (%)": [
                None if record.top1 is None else 100 * record.top1 for record in found
            ],
            "licence": [record.licence or "–" for record in found],
            "weights here": [here[record.name] for record in found],
        }
    )
    decimals: dict[Any, Any] = {
        "parameters (M)": "{:.1f}",
        cost: "{:.2f}",
        "ImageNet top-1 (%)": "{:.1f}",
    }
    event = st.dataframe(
        frame.style.format(decimals, na_rep="–"),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            cost: st.column_config.NumberColumn(help="Billions of multiply-adds a picture, about."),
            "ImageNet top-1 (%)": st.column_config.NumberColumn(
                help="As the library states it; timm states none."
            ),
        },
        key=key,
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(found):
        _detail(found[rows[0]], size)


def _detail(record: BackboneRecord, size: int) -> None:
    with st.container(border=True):
        st.subheader(plain(record.name), anchor=False)
        st.caption(facts(record, size))
        mean, std = (", ".join(f"{v:.3g}" for v in values) for values in (record.mean, record.std))
        sizes = {
            "any": "takes pictures of any size",
            "resized": "takes other sizes too: its position embeddings are stretched",
            "fixed": f"takes pictures of {record.default_size} px only",
        }[record.sizes]
        st.markdown(
            f"Normalised with mean {mean} and standard deviation {std}; "
            f"{record.interpolation} interpolation; {sizes}."
        )
        show_chart(
            stage_bars(record.stages),
            key=f"{PAGE}.stages",
            name=f"Parameters a stage {record.name}",
            alt=f"Parameters a stage, {record.name}",
        )
        if st.button("Use it on the Train page", type="primary", icon=":material/tune:"):
            st.session_state["train.model.backbone"] = record.name
            st.session_state["train.model.weights"] = "pretrained"
            st.session_state.pop("train.recipe", None)
            st.switch_page("app_pages/train.py")


def _left_out(text: str) -> None:
    reasons = {name: why for name, why in refused().items() if text.lower() in name}
    if reasons:
        count = f"{len(reasons)} architecture{'s' if len(reasons) != 1 else ''}"
        with st.expander(f"{count} cannot be used", icon=":material/block:"):
            st.dataframe(
                {"architecture": list(reasons), "because": list(reasons.values())}, hide_index=True
            )


main()
