"""What stands on the Update page beside its choices: the drift check, results, lineage, gate."""

from pathlib import Path

from engine.runs.store import Store
from tests.dashboard.made_updates import add_update, finish_update
from tests.dashboard.pages import choose, controls_of, open_page, text_of
from tests.dashboard.updating import (
    add_model,
    batch,
    controls,
    model,
    name_folder,
    open_update,
)

__all__ = ["batch", "model"]
RESULTS = "What each method kept and gained"


def test_a_model_without_updates_has_nothing_below(store: Store, tiny_folder: Path) -> None:
    add_model(store, tiny_folder)
    page = open_update()
    assert "None yet." in text_of(page)
    assert "update.view" not in controls(page)


def test_results_lineage_and_gate_are_looked_at_one_at_a_time(
    store: Store, tiny_folder: Path
) -> None:
    base = add_model(store, tiny_folder)
    first, second = (finish_update(store, base, method) for method in ("naive", "replay"))
    page = open_page("update", [base.id])
    assert RESULTS in text_of(page)
    page = choose(page, "update.view", "Lineage")
    assert RESULTS not in text_of(page)
    assert "Follow the lineage down to" in [one.label for one in controls_of(page)]
    page = choose(page, "update.view", "Adopt")
    assert controls(page)["update.adopt.run"].value == second.id
    page = choose(page, "update.adopt.run", first.id)
    assert "No update was adopted yet" in text_of(page)


def test_updates_with_other_images_are_not_held_against_each_other(
    store: Store, tiny_folder: Path, tmp_path: Path
) -> None:
    base = add_model(store, tiny_folder)
    finish_update(store, base, "naive")
    other = add_update(store, base, "replay")
    spec = other.spec.model_copy(
        update={"data": other.spec.data.model_copy(update={"folder": str(tmp_path / "july")})}
    )
    [july] = store.add_runs([("july", spec)])
    page = open_page("update", [base.id])
    assert controls(page)["update.results.folder"].value == str(tmp_path / "july")
    assert "Nothing has been judged yet" in text_of(page)
    page = choose(page, "update.results.folder", base_folder(store, july.id))
    assert RESULTS in text_of(page)


def base_folder(store: Store, not_of: str) -> str:
    return next(
        run.spec.data.folder
        for run in store.all_runs()
        if run.spec.update.start and run.id != not_of
    )


def test_what_has_not_ended_cannot_be_adopted(store: Store, tiny_folder: Path) -> None:
    base = add_model(store, tiny_folder)
    add_update(store, base)
    page = choose(open_page("update", [base.id]), "update.view", "Adopt")
    assert "no finished update of this model yet" in text_of(page)


def test_new_images_can_be_held_against_the_old_ones(
    store: Store, tiny_folder: Path, batch: Path
) -> None:
    add_model(store, tiny_folder)
    page = name_folder(open_update(), batch)
    assert "Are the new images like the old ones?" in [one.label for one in page.expander]
