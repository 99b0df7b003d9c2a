"""Update: the settings of an update, put on the page again."""

import shutil
from pathlib import Path

from streamlit.testing.v1 import AppTest

from engine.runs.store import Run, Store
from engine.spec import RunSpec
from tests.dashboard.pages import (
    open_page,
    run,
    text_of,
)
from tests.dashboard.test_runs_page import click, tick
from tests.dashboard.updating import add_model, batch, model, of_update, press, started_runs

__all__ = ["batch", "model"]


def with_its_settings(update: Run) -> AppTest:
    """Returns the page that "Use its settings" on the Runs page leads to."""
    page = click(tick(open_page("runs"), update.name), "Use its settings")
    assert page.title[0].value == "Update"
    # What is clicked next is a matter of that page, which a test has to be told.
    page.switch_page("app_pages/update.py")
    return run(page)


def test_the_settings_of_an_update_are_put_on_the_update_page(
    store: Store, model: Run, batch: Path
) -> None:
    update = of_update(store, model, batch, seed=5, **{"optimiser.lr": 2e-4})
    press(with_its_settings(update))
    again = started_runs(store)[-1]
    assert again.id != update.id
    assert again.spec == update.spec


def test_so_are_those_of_its_split(store: Store, model: Run, batch: Path, tmp_path: Path) -> None:
    shutil.copytree(batch, tmp_path / "held back")
    split = {"val_folder": str(tmp_path / "held back"), "split_seed": 3}
    update = of_update(store, model, batch, split)
    press(with_its_settings(update))
    assert [one.spec for one in started_runs(store)] == [update.spec, update.spec]


def test_what_the_page_has_no_control_for_is_told_and_kept(
    store: Store, model: Run, batch: Path
) -> None:
    update = of_update(store, model, batch, **{"training.batch_size": 8})
    page = with_its_settings(update)
    assert "Batch size 8" in text_of(page)
    press(page)
    assert [one.spec for one in started_runs(store)] == [update.spec, update.spec]
    press(click(page, "Take them from the model"))
    batch_size = model.spec.training.batch_size
    assert started_runs(store)[-1].spec.training.batch_size == batch_size


def test_the_update_of_a_file_is_put_there_with_its_path(tmp_path: Path) -> None:
    spec = RunSpec.parse(
        {
            "data": {"folder": str(tmp_path)},
            "update": {"start": str(tmp_path / "best.safetensors"), "method": "lwf"},
        }
    )

    def script(text: str) -> None:
        import streamlit as st

        from dashboard.update_fill import address_of, show_on_update
        from engine.spec import RunSpec

        spec = RunSpec.parse(text)
        show_on_update(spec)
        state = st.session_state
        st.text(f"{state['update.model']} {state['update.checkpoint']} {address_of(spec)}")

    page = AppTest.from_function(script, default_timeout=30, args=(spec.model_dump_json(),)).run()
    shown = page.text[0].value
    assert shown == f"file {tmp_path / 'best.safetensors'} {{}}"


def test_the_runs_page_leads_to_the_update_of_a_model(store: Store, model: Run) -> None:
    newer = add_model(store, Path(model.spec.data.folder), strategy="frozen")
    page = click(tick(open_page("runs"), model.name), "Update it")
    assert page.title[0].value == "Update"
    assert page.selectbox[0].value == model.id != newer.id
