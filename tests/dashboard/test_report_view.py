"""The Report view of Compare, and the downloads of charts and tables of all pages."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from dashboard.number_tables import estimates_frame, pairs_frame, results_frame
from dashboard.report.build import make_report
from dashboard.words import file_stem, names_of
from engine.errors import RunFileError
from engine.insight.compare import report
from engine.insight.ranking import judged_ways, leading_pair, ranked
from engine.runs.store import Run, Store
from tests.dashboard.made import add_pair, add_run, finish, start
from tests.dashboard.pages import open_page, run, text_of

pytestmark = pytest.mark.usefixtures("small_sample")
ROOT = Path(dashboard.__file__).parent


def finished_pair(store: Store) -> tuple[Run, Run]:
    one, other = add_pair(store)
    return finish(store, one, (0.5, 0.6)), finish(store, other, (0.4, 0.9))


def downloads(page: AppTest) -> list[str]:
    return [one.proto.label for one in page.get("download_button")]


def make(page: AppTest) -> AppTest:
    [button] = [one for one in page.button if one.label == "Make the report"]
    button.click()
    return run(page)


def test_a_report_is_made_when_it_is_asked_for_and_says_how_large_it_is(store: Store) -> None:
    ids = [one.id for one in finished_pair(store)]
    page = open_page("compare", ids, view="Report")
    assert downloads(page) == []
    make(page)
    html, markdown = downloads(page)
    assert re.fullmatch(r"Download report \(HTML\) · 4\.\d MB|.* · 5\.\d MB", html)
    assert re.fullmatch(r"Download report \(Markdown\) · \d+ kB", markdown)
    assert not [one for one in page.button if one.label == "Make the report"]
    assert f"thaw report {' '.join(ids)}" in page.code[0].value


def test_a_report_is_made_anew_once_a_run_has_changed(store: Store) -> None:
    one, other = finished_pair(store)
    page = make(open_page("compare", [one.id, other.id], view="Report"))
    store.mark(one.id, note="the better one, I think")
    run(page)
    assert downloads(page) == []
    assert len(downloads(make(page))) == 2


def test_runs_that_go_on_are_told_of(store: Store) -> None:
    going_on = start(store, add_run(store))
    page = open_page("compare", [going_on.id], view="Report")
    assert "This run goes on: what is shown is what there was so far" in text_of(page)
    assert len(downloads(make(page))) == 2


def test_what_cannot_be_made_is_said_in_a_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = finished_pair(store)
    monkeypatch.setattr("dashboard.report.build.MOST_BYTES", 1000)
    with pytest.raises(RunFileError):
        make_report(store, [one, other], "html", None)
    page = make(open_page("compare", [one.id, other.id], view="Report"))
    assert "name fewer runs" in page.error[0].value
    assert downloads(page) == []


def test_the_tables_of_compare_are_there_as_bare_numbers(store: Store) -> None:
    one, other = finished_pair(store)
    page = open_page("compare", [one.id, other.id])
    assert downloads(page) == ["Numbers as CSV", "Numbers as CSV"]
    reports = [report(store, finished) for finished in (one, other)]
    ways, pairs = judged_ways(reports)
    frames = [results_frame(reports), estimates_frame(ways), pairs_frame(pairs)]
    results, estimates, differences = (
        pd.read_csv(io.StringIO(frame.to_csv(index=False))) for frame in frames
    )
    assert list(results["best_val_accuracy"]) == [0.6, 0.9]
    assert list(estimates["accuracy"]) == pytest.approx([0.6, 0.9])
    assert (estimates["accuracy_low"] < estimates["accuracy"]).all()
    assert (estimates["accuracy"] < estimates["accuracy_high"]).all()
    assert differences["difference"][0] == pytest.approx(0.3)
    assert differences["difference_low"][0] == pytest.approx(pairs[0].difference.estimate.low)
    for frame in (results, estimates, differences):
        numbers = frame.drop(
            columns=[
                "run",
                "runs",
                "name",
                "way",
                "better",
                "than",
                "strategy",
                "status",
                "method",
            ],
            errors="ignore",
        )
        assert all(kind.kind in "biuf" for kind in numbers.dtypes)


def test_the_best_two_lead(store: Store) -> None:
    weak = finish(store, add_run(store, "partial"), (0.2,))
    one, other = finished_pair(store)
    ways, pairs = judged_ways([report(store, each) for each in (weak, one, other)])
    leading = leading_pair(ways, pairs)
    assert leading is not None
    led = [way.reports[0].run.id for way in (leading.first, leading.second)]
    assert led == [other.id, one.id] == [way.reports[0].run.id for way in ranked(ways)[:2]]
    assert leading_pair(ways[:1], []) is None


# ---- charts


def test_every_chart_goes_through_the_one_function_that_names_its_downloads() -> None:
    users = {
        file.name
        for file in ROOT.rglob("*.py")
        if "plotly_chart(" in file.read_text(encoding="utf-8")
    }
    assert users == {"show.py"}


def test_charts_are_named_after_what_they_show(store: Store) -> None:
    one, other = finished_pair(store)
    page = open_page("compare", [one.id, other.id])
    charts = [chart.proto for chart in page.get("plotly_chart")]
    names = [re.search(r'"filename": ?"([^"]+)"', chart.config) for chart in charts]
    expected = f"frozen-{one.id[:4]}-full-{other.id[:4]}"
    assert {found[1] for found in names if found} == {
        f"{metric}-against-{against}-{expected}"
        for metric in ("accuracy", "loss")
        for against in ("epochs", "seconds")
    }


def test_names_of_files_are_short_and_plain(store: Store) -> None:
    runs = [add_run(store) for _ in range(5)]
    assert names_of(runs).endswith("and 2 more")
    assert file_stem("Accuracy / epochs: ../../etc <b>") == "accuracy-epochs-etc-b"
    assert file_stem("…") == "thaw"
    assert len(file_stem("long " * 100)) <= 100
