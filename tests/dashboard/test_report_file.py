"""A report is one file: true, whole, small, harmless, and the same as HTML and as Markdown."""

import base64
import hashlib
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from markdown_it import MarkdownIt
from PIL import Image

from dashboard.report.build import MOST_BYTES, Kind, MadeReport, make_report, write_report
from dashboard.report.figures import figure_json
from dashboard.report.markdown import escaped
from dashboard.report.thumbnails import thumbnail_address
from engine.errors import RunFileError
from engine.home import run_folder
from engine.insight.compare import report
from engine.insight.experiment import ways_of
from engine.runs.store import Run, Store
from engine.training.predictions import Predictions
from tests.dashboard.made import CLASSES, FINGERPRINT, NUM_VAL, add_pair, add_run, finish, start

EVIL = "<script>alert(1)</script>"
EVIL_CLASSES = ("<img src=x onerror=alert(2)>", "a|b `c` *d*", "</script><script>alert(3)</script>")
# What stands in HTML without an end.
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags of a page with their attributes, texts of its tables, and whether it is well formed."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append("")
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        within = self._open[-1] if self._open else ""
        if within == "script":
            self.scripts[-1] += data
        elif within in {"td", "th"}:
            self.cells[-1] += data
        else:
            self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def finished(store: Store) -> list[Run]:
    one, other = add_pair(store)
    return [finish(store, one, (0.5, 0.6)), finish(store, other, (0.4, 0.9))]


def made(store: Store, runs: list[Run], kind: Kind = "html", pictures: bool = True) -> MadeReport:
    return make_report(store, runs, kind, (lambda path: True) if pictures else None)


def figures(page: Page) -> list[dict[str, Any]]:
    """Returns the figures of a page, in order."""
    of_type = [attributes.get("type") for attributes in page.of("script")]
    texts = zip(of_type, page.scripts, strict=True)
    return [json.loads(text) for kind, text in texts if kind == "application/json"]


def with_pictures(run: Run, folder: Path) -> Path:
    """Gives a run whose images do not exist images that do, each of one colour."""
    for i in range(NUM_VAL):
        file = folder / "val" / f"{160 + i:03d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (300, 200), (i * 4, 90, 200)).save(file)
    manifest = run_folder(run.id) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("/photos/", f"{folder}/val/"))
    return folder


# ---- what it says


def test_it_answers_the_question_and_shows_the_numbers_of_the_engine(store: Store) -> None:
    runs = finished(store)
    page = Page(made(store, runs).text)
    said = " ".join(page.texts)
    assert "how should efficientnet_lite0 be updated with these images: Frozen or Full?" in said
    assert "is better than Frozen · photos" in said
    assert "by 30.0 points (between 18.3 to 41.7)" in said
    for way in ways_of([report(store, run) for run in runs]):
        assert way.accuracy is not None
        low, high = 100 * way.accuracy.low, 100 * way.accuracy.high
        assert f"{100 * way.accuracy.value:.1f} % ({low:.1f} to {high:.1f})" in page.cells
    assert FINGERPRINT in page.cells
    assert "not recorded: trained with an earlier Thaw" in page.cells
    assert f"thaw compare {runs[0].id} {runs[1].id}" in said


def test_the_charts_hold_every_epoch_and_every_cell(store: Store) -> None:
    runs = finished(store)
    drawn = figures(Page(made(store, runs).text))
    # Three costs come first.
    assert len(drawn) == 3 + 4 + 1 + 2
    drawn = drawn[3:]
    accuracy = drawn[0]["data"]
    assert accuracy[0]["y"] == [0.5, 0.6]
    assert accuracy[2]["y"] == [0.4, 0.9]
    numbers = [trace for trace in drawn[5]["data"] if trace.get("mode") == "text"]
    cells = [cell for one in numbers for cell in zip(one["x"], one["y"], one["text"], strict=True)]
    assert sum(int(text) for _, _, text in cells) == NUM_VAL
    assert sum(int(text) for x, y, text in cells if x == y) == round(0.6 * NUM_VAL)
    assert all("template" not in figure["layout"] for figure in drawn)


def test_every_class_is_there_with_its_scores(store: Store) -> None:
    runs = finished(store)
    cells = Page(made(store, runs).text).cells
    predictions = Predictions.load(run_folder(runs[1].id))
    assert predictions is not None
    for place, name in enumerate(CLASSES):
        is_class, named = predictions.labels_N == place, predictions.predicted_N == place
        right = (is_class & named).sum()
        recall, precision = right / is_class.sum(), right / named.sum()
        f1 = 2 * recall * precision / (recall + precision)
        at = [i for i, cell in enumerate(cells) if cell == name][-1]
        assert cells[at + 1] == str(is_class.sum())
        assert cells[at + 3] == f"{100 * recall:.0f} / {100 * precision:.0f} / {100 * f1:.0f}"


def test_one_run_alone_is_reported_without_a_verdict(store: Store) -> None:
    run = finished(store)[1]
    said = " ".join(Page(made(store, [run]).text).texts)
    assert "Full gets 90.0 % (79.9 to 95.3) of 60 validation images right" in said
    assert "there is nothing here to compare it with" in said
    assert f"gets wrong, most confident first: {NUM_VAL - 54}" in said


def test_runs_that_were_not_judged_yet_or_on_other_images_are_told_of(store: Store) -> None:
    waiting = add_run(store)
    assert "No run here has been judged yet." in made(store, [waiting]).text
    one, other = add_pair(store)
    apart = [finish(store, one), finish(store, other, fingerprint="another")]
    said = made(store, apart).text
    assert "saw different images or a different split" in said
    assert "so no verdict is given" in said


# ---- that it is harmless


def test_the_page_may_load_nothing_and_run_nothing_but_its_own_scripts(store: Store) -> None:
    page = Page(made(store, finished(store)).text)
    [policy] = [
        str(meta["content"])
        for meta in page.of("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    assert rules["img-src"] == "data: blob:"
    kinds = [attributes.get("type") for attributes in page.of("script")]
    ran = [text for kind, text in zip(kinds, page.scripts, strict=True) if kind is None]
    digests = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in ran]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(ran) == 2
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/jpeg;base64,"))


@pytest.mark.parametrize("kind", ["html", "md"])
def test_what_people_typed_is_shown_letter_by_letter(store: Store, kind: Kind) -> None:
    one, other = (add_run(store, s, name=f"{EVIL} {s}") for s in ("frozen", "full"))
    runs = [finish(store, run, (0.5,), classes=EVIL_CLASSES) for run in (one, other)]
    for run in runs:
        store.mark(run.id, note=f"{EVIL} note", tags=[EVIL])
    runs = [store.run(run.id) for run in runs]
    text = made(store, runs, kind).text
    if kind == "html":
        page = Page(text)
        assert sum(attributes.get("type") is None for attributes in page.of("script")) == 2
        assert not any("onerror" in attributes for _, attributes in page.tags)
        assert f"{EVIL} note" in page.cells
        assert set(EVIL_CLASSES) <= set(page.cells)
        return
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close", "softbreak"}
    blocks = {token.content.strip().partition(">")[0] for token in tokens if "html" in token.type}
    assert blocks <= {"<details", "</details"}
    shown = {inline(token) for token in tokens if token.type == "inline"}
    assert {f"{EVIL} note", *EVIL_CLASSES} <= shown


def inline(token: Any) -> str:
    return "".join(child.content for child in token.children)


def test_no_place_on_this_machine_and_no_secret_is_in_it(
    store: Store, thaw_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-of-mine")
    run = finish(store, add_run(store), status="failed")
    reason = f"{thaw_home}/runs/x cannot be read; password=hunter22 and s3cr3t-of-mine"
    store.set_status(run.id, "failed", reason, summary={"weights": f"{Path.home()}/w.pth"})
    for kind in ("html", "md"):
        text = made(store, [store.run(run.id)], kind).text
        assert str(thaw_home) not in text
        assert str(Path.home()) not in text.replace("/photos", "")
        assert "hunter22" not in text
        assert "s3cr3t-of-mine" not in text


# ---- pictures


def test_pictures_are_small_and_come_from_allowed_folders_only(
    store: Store, tmp_path: Path
) -> None:
    runs = finished(store)
    for run in runs:
        with_pictures(run, tmp_path / "mine")
    full = make_report(store, runs, "html", lambda path: True)
    page = Page(full.text)
    sources = [str(image["src"]) for image in page.of("img")]
    # The full run alone is right about 18 images, and 6 of the rest are wrong for both.
    assert len(sources) == full.num_pictures == 12 + 6
    assert all(len(source) < 6000 for source in sources)
    assert all(image["alt"] for image in page.of("img"))
    assert "18, 6 of them left out here" in full.text
    one = make_report(store, runs, "html", lambda path: path.endswith("0.jpg"))
    assert 0 < one.num_pictures < full.num_pictures
    assert f"{18 - one.num_pictures} of these images are not shown" in one.text
    bare = make_report(store, runs, "html", None)
    assert bare.num_pictures == 0
    assert "not shown" not in "".join(Page(bare.text).texts)


def test_a_thumbnail_is_a_square_jpeg_and_nothing_else_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    picture = Image.new("RGB", (640, 320), "red")
    exif = picture.getexif()
    exif[0x010F] = "the camera of somebody"
    picture.save(file, exif=exif)
    address = thumbnail_address(str(file))
    assert address is not None
    content = base64.b64decode(address.partition(",")[2])
    assert content[:2] == b"\xff\xd8"
    assert b"camera" not in content
    assert thumbnail_address(str(tmp_path / "gone.jpg")) is None
    (tmp_path / "text.jpg").write_text("no picture")
    assert thumbnail_address(str(tmp_path / "text.jpg")) is None
    assert thumbnail_address(str(tmp_path)) is None
    assert thumbnail_address("a\0b") is None


# ---- that it stays small


def long_run(store: Store, run: Run, seed: int) -> Run:
    """Ends a run of 10,000 steps and 1,000 epochs, with one peak in each."""
    start(store, run)
    rng = np.random.default_rng(seed)
    losses = rng.random(10_000)
    losses[7_321] = 99.0
    store.append(
        run.id,
        [
            (float(i), "step", 1 + i // 10, i + 1, {"train/loss": float(loss)})
            for i, loss in enumerate(losses)
        ],
    )
    finish_values = rng.random(1_000)
    return finish(store, store.run(run.id), finish_values.tolist())


@pytest.mark.parametrize("num_runs", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_runs_of_ten_thousand_steps_fit_and_no_peak_is_lost(store: Store, num_runs: int) -> None:
    strategies = ("frozen", "full")
    runs = [long_run(store, add_run(store, strategies[i % 2], seed=i), i) for i in range(num_runs)]
    whole = make_report(store, runs, "html", None)
    assert whole.num_bytes < MOST_BYTES
    [steps] = [
        figure["data"]
        for figure in figures(Page(whole.text))
        if figure["layout"]["xaxis"].get("title", {}).get("text") == "steps"
    ]
    assert [max(trace["y"]) for trace in steps] == [99.0] * num_runs
    assert all(len(trace["y"]) <= 1_100 for trace in steps)


def test_what_is_still_too_large_is_refused_in_a_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = finished(store)
    size = made(store, runs).num_bytes
    monkeypatch.setattr("dashboard.report.build.MOST_BYTES", size - 1000)
    assert made(store, runs).detail.points < 1000
    monkeypatch.setattr("dashboard.report.build.MOST_BYTES", 1000)
    with pytest.raises(RunFileError, match="name fewer runs"):
        made(store, runs)


def test_many_classes_are_told_by_their_confusions(store: Store) -> None:
    classes = [f"class {i:02d}" for i in range(50)]
    run = finish(store, add_run(store), (0.5,), classes=classes)
    page = Page(made(store, [run]).text)
    assert len(figures(page)) == 5
    assert any("the most frequent confusions" in text for text in page.texts)


def test_a_figure_is_thinned_and_cannot_leave_its_element() -> None:
    ys = np.sin(np.arange(5_000) / 50)
    ys[1234] = 7.0
    figure = go.Figure([go.Scatter(y=ys, x=np.arange(5_000), mode="lines", name="</script>")])
    figure.add_scatter(x=np.arange(5_000), y=ys, mode="markers")
    text = figure_json(figure, 100)
    assert "<" not in text
    line, dots = json.loads(text)["data"]
    assert len(line["x"]) == len(line["y"]) <= 110
    assert 7.0 in line["y"]
    assert line["x"][line["y"].index(7.0)] == 1234
    assert len(dots["y"]) == 5_000
    assert len(figure.data[0].y) == 5_000


# ---- as Markdown


def test_markdown_has_the_same_tables_and_all_of_them_are_valid(store: Store) -> None:
    runs = finished(store)
    page = Page(made(store, runs).text)
    tokens = MarkdownIt("commonmark").enable("table").parse(made(store, runs, "md").text)
    tables = sum(token.type == "table_open" for token in tokens)
    # Costs (3), curves (2), matrices (2) and pictures (2 of 3 kinds) are tables there.
    assert tables == len(page.of("table")) + 3 + 2 + 2 + 2
    cells = {
        inline(token)
        for before, token in itertools.pairwise(tokens)
        if before.type in {"td_open", "th_open"}
    }
    assert {cell.strip() for cell in page.cells} - {""} <= cells
    fences = [token for token in tokens if token.type == "fence"]
    assert json.loads(fences[-1].content)["data"]["folder"] == "/photos"


@pytest.mark.parametrize("text", ["- a", "1. b", "# c", "a\nb", "~~x~~", "$y$", "&lt;", "a\\|b"])
def test_escaped_text_comes_back_letter_by_letter(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(escaped(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert inline(tokens[1]) == " ".join(text.split())


# ---- as a file


def test_it_is_written_whole_or_not_at_all(store: Store, tmp_path: Path) -> None:
    one = made(store, finished(store), "md")
    assert re.fullmatch(r"report-frozen-\w{4}-full-\w{4}\.md", one.file_name)
    write_report(one, tmp_path / "r.md")
    assert (tmp_path / "r.md").read_text(encoding="utf-8") == one.text
    assert list(tmp_path.glob(".*")) == []
    with pytest.raises(RunFileError, match="cannot be written"):
        write_report(one, tmp_path / "none" / "r.md")


def test_reports_need_no_streamlit() -> None:
    code = "import sys, dashboard.report.build; print('streamlit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
