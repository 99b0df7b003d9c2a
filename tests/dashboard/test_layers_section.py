"""Compare, Layers: what is drawn of stages that moved or did not, and what is said beside it."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.layers_charts import ICE, Layered, gradient_figure, last_epoch_figure, stages_figure
from engine.events import Value
from engine.insight.compare import report
from engine.insight.layers import gradient_histories, layer_history
from engine.runs.store import Run, Store
from tests.dashboard.made import add_run, finish
from tests.dashboard.pages import choose, open_page, text_of

pytestmark = pytest.mark.usefixtures("small_sample")

STAGES = ("stem", *(f"block{i}" for i in range(1, 8)), "top")
EPOCHS = 3


def full_values(epoch: int) -> dict[str, Value]:
    values: dict[str, Value] = {"cka_images": 60}
    for place, name in enumerate(STAGES, start=1):
        values[f"drift/{name}"] = 0.001 * place * epoch
        values[f"drift_statistics/{name}"] = 0.01
        values[f"cka/{name}"] = 1.0 - 0.02 * place * epoch
    return values


def full(store: Store) -> Run:
    layers = [full_values(epoch) for epoch in range(1, EPOCHS + 1)]
    gradients: dict[str, Value] = {f"grad_norm/{name}": 1.0 for name in (*STAGES, "head")}
    run = add_run(store, "full")
    return finish(store, run, (0.5, 0.6, 0.7), layers=layers, gradients=gradients)


def frozen(store: Store) -> Run:
    layers: list[dict[str, Value]] = [{"cka_images": 60}] * EPOCHS
    gradients: dict[str, Value] = {"grad_norm/head": 2.0}
    return finish(store, add_run(store), (0.5, 0.6, 0.7), layers=layers, gradients=gradients)


def layered(store: Store, *runs: Run) -> list[Layered]:
    found = []
    for run in runs:
        history = layer_history(report(store, run))
        assert history is not None
        found.append(Layered(f"{run.name} <b>", "#123456", history))
    return found


def charts(page: AppTest) -> dict[str, Any]:
    return {
        one.proto.id.rpartition("-compare.layers.")[2]: json.loads(one.proto.spec)
        for one in page.get("plotly_chart")
    }


def test_what_is_frozen_is_blue_and_all_runs_share_one_scale(store: Store) -> None:
    runs = layered(store, frozen(store), full(store))
    figure = stages_figure(runs, "drift")
    still_frozen, moved_frozen, still_full, moved_full = figure.data
    assert {value for row in still_frozen.z for value in row} == {0.0}
    assert {value for row in moved_frozen.z for value in row} == {None}
    assert {value for row in still_full.z for value in row} == {None}
    assert still_frozen.colorscale[0][1] == ICE
    assert list(moved_full.y) == ["Stem", *(f"Block {i}" for i in range(1, 8)), "Top layers"]
    assert moved_full.z[8][2] == pytest.approx(-1.569, abs=1e-3)
    assert {trace.coloraxis for trace in (moved_frozen, moved_full)} == {"coloraxis"}
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-3, -1)
    assert list(figure.layout.coloraxis.colorbar.ticktext) == ["0.1 %", "1 %", "10 %"]
    # What a person wrote is shown letter by letter.
    assert figure.layout.annotations[0].text.endswith("&lt;b&gt;")
    change = stages_figure(runs, "change")
    assert change.layout.coloraxis.cmax == pytest.approx(0.54)
    assert "moved by 2.7 %, BatchNorm statistics by 1 %" in moved_full.customdata[8][2]


def test_without_anything_that_moved_there_is_no_scale(store: Store) -> None:
    for measure in ("drift", "change"):
        figure = stages_figure(layered(store, frozen(store)), measure)  # type: ignore[arg-type]
        assert figure.layout.coloraxis.showscale is False


def test_cells_say_where_statistics_alone_moved(store: Store) -> None:
    told: dict[str, Value] = {"cka_images": 60, "drift/stem": 0.0, "drift_statistics/stem": 0.3}
    run = finish(store, add_run(store), (0.5,), layers=[told | {"cka/stem": 0.7}])
    still, _ = stages_figure(layered(store, run), "drift").data
    assert list(still.text[0]) == ["BN"]
    assert list(still.text[1]) == [""]
    page = open_page("compare", [run.id], view="Layers")
    assert "1 of its 9 stages never moved, but their BatchNorm statistics did" in text_of(page)


def test_the_last_epoch_is_a_dot_a_stage_and_run(store: Store) -> None:
    runs = layered(store, frozen(store), full(store))
    first, second = last_epoch_figure(runs, "drift").data
    assert set(first.x) == {0.0}
    assert second.x[8] == pytest.approx(0.027)
    assert second.line.color == "#123456"


def test_long_curves_of_gradients_are_thinned(store: Store) -> None:
    run = finish(store, add_run(store, "full"), (0.5,))
    steps = [
        (0.0, "step", 1, step, {"grad_norm/stem": 100.0 if step == 777 else 1.0 + step % 7})
        for step in range(1, 3001)
    ]
    store.append(run.id, steps)  # type: ignore[arg-type]
    [stem] = gradient_figure(gradient_histories(store, run)).data
    assert len(stem.x) < 700
    assert 100.0 in stem.y


def test_the_view_draws_maps_dots_and_gradients(store: Store) -> None:
    one, other = frozen(store), full(store)
    page = open_page("compare", [one.id, other.id], view="Layers")
    shown = charts(page)
    assert set(shown) == {
        *("drift", "change", "last.drift", "last.change", f"gradients.of.{other.id}")
    }
    assert len(shown[f"gradients.of.{other.id}"]["data"]) == len(STAGES) + 1
    assert "1 - CKA: 0 is alike" in text_of(page)
    assert "60 validation pictures" in text_of(page)
    page = choose(page, "compare.layers.gradients", one.id)
    assert [line["name"] for line in charts(page)[f"gradients.of.{one.id}"]["data"]] == ["Head"]
    table = page.dataframe[0].value
    assert len(table) == 2 * len(STAGES)


def test_runs_of_an_earlier_release_and_young_ones_are_named(store: Store) -> None:
    old, young, new = finish(store, add_run(store), (0.5,)), add_run(store, "full"), full(store)
    page = open_page("compare", [old.id, young.id, new.id], view="Layers")
    assert "drift" in charts(page)
    said = text_of(page)
    assert "trained by an earlier Thaw" in said
    assert "no epoch is completed yet" in said
    page = open_page("compare", [old.id], view="Layers")
    assert not charts(page)
    assert "trained by an earlier Thaw" in page.info[0].value


def test_what_could_not_be_told_is_counted(store: Store) -> None:
    values = full_values(1) | {"cka/top": None}
    run = finish(store, add_run(store, "full"), (0.5,), layers=[values])
    page = open_page("compare", [run.id], view="Layers")
    assert "what 1 of its stages see could not be compared" in text_of(page)
