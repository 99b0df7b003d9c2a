"""Compare with 1,000 runs and a million metric points in the store: until it is drawn, and hovered.

Every run has 1,000 events, all of them epochs, which is the most that Compare can be asked to draw.
It is opened in a real Chromium that was there before, as a person's is: with a click on Compare,
which shows the newest experiment, as soon as another page is there and after two seconds on it, and
by an address that names 20 or 50 runs; then the pointer goes over a chart. The alternatives are the
same page with lines that are not thinned, and, for what an address costs whatever it shows, the
Search page, on which nothing is.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import BrowserContext, Page
from sqlalchemy import insert

from engine.data.manifest import MANIFEST_FILE, Item, Manifest
from engine.home import run_folder
from engine.runs.database import writing
from engine.runs.store import Store
from engine.runs.tables import events, runs
from engine.spec import RunSpec
from engine.training.predictions import Predictions
from tests.benchmarks.served import own_home
from tests.serving import Dashboard, chromium

NUM_RUNS = 1_000
NUM_EVENTS = 1_000
NUM_VAL, NUM_CLASSES = 300, 10
# Runs of an experiment: two ways of training, three seeds each.
GROUP = 6
VISITS = 3
# Runs by an address, or none for a click, and seconds on the page before: the browser reads then
# what draws charts.
CHOICES = ((0, 0.0), (0, 2.0), (20, 0.0), (50, 0.0))
UNTHINNED = "import engine.insight.thinning as it; it.kept_places.__defaults__ = (10**9,)\n"
DRAWN = """() => {
    const app = document.querySelector("[data-testid=stApp]");
    const plots = [...document.querySelectorAll(".js-plotly-plot")];
    return app?.getAttribute("data-test-script-state") === "notRunning"
        && plots.length === 4
        && plots.every((plot) => plot.querySelector(".scatterlayer .trace path.js-line"))
        && document.querySelectorAll("[data-testid=stDataFrame] canvas").length >= 3;
}"""
IDLE = """() => {
    const app = document.querySelector("[data-testid=stApp]");
    return app?.getAttribute("data-test-script-state") === "notRunning"
        && document.querySelector("h1") !== null;
}"""
# From the pointer's coming to the label that says what is under it.
HOVER = """() => document.querySelector(".js-plotly-plot .hoverlayer .hovertext") !== null"""
POINTS = """() => [...document.querySelectorAll(".js-plotly-plot")]
    .map((plot) => plot._fullData.reduce((sum, one) => sum + (one._length || 0), 0))
    .reduce((one, other) => one + other, 0)"""


def main(arguments: Sequence[str] = ()) -> None:
    """Prints the seconds of each, and what the server computes for it."""
    parser = argparse.ArgumentParser(prog="many_runs", description=__doc__)
    parser.add_argument("--runs", type=int, default=NUM_RUNS)
    parser.add_argument(
        "--epochs", type=int, default=NUM_EVENTS, help="epochs among a run's events; rest: steps"
    )
    parser.add_argument("--visits", type=int, default=VISITS)
    asked = parser.parse_args(arguments)
    with own_home() as home, tempfile.TemporaryDirectory() as patch:
        began = time.perf_counter()
        made = make_runs(Store(), asked.runs, asked.epochs)
        print(f"  {asked.runs:,} runs made in {time.perf_counter() - began:.0f} s", flush=True)
        (Path(patch) / "sitecustomize.py").write_text(UNTHINNED)
        path = ":".join([patch, str(Path(__file__).parents[2])])
        for name, environment in (("thinned", {}), ("not thinned", {"PYTHONPATH": path})):
            dashboard = Dashboard(home, environment=environment)
            dashboard.start()
            try:
                with chromium() as browser:
                    context = browser.new_context(viewport={"width": 1440, "height": 900})
                    _measure(context, dashboard, made, name, asked.visits)
            finally:
                dashboard.stop()


def make_runs(store: Store, num_runs: int, epochs: int) -> list[str]:
    """Fills a store with finished runs, in groups of ways and seeds; returns ids, newest first."""
    random = np.random.default_rng(0)
    first = time.time() - num_runs
    rates = json.dumps({"epochs": list(range(100)), "head": [1e-3] * 100, "backbone": [1e-4] * 100})
    ids = []
    for number in range(num_runs):
        group, place = divmod(number, GROUP)
        spec = RunSpec.parse(
            {
                "data": {"folder": "/photos"},
                "strategy": {"name": ("frozen", "full")[place % 2]},
                "optimiser": {"lr": float(f"{1e-4 * (1 + group % 90):.2g}")},
                "training": {"epochs": epochs},
                "seed": place // 2,
            }
        )
        run_id = f"{number:016x}"
        accuracy = float(random.uniform(0.6, 0.95))
        summary = {
            "seconds": 10.0 + place,
            "fingerprint": "c0ffee",
            "train_images": 1_000,
            "val_images": NUM_VAL,
            "trainable_parameters": 10_000,
            "planned_rates": rates,
        }
        with writing(store.engine) as connection:
            connection.execute(
                insert(runs).values(
                    id=run_id,
                    name=f"{spec.strategy.name} · photos · seed {spec.seed}",
                    status="finished",
                    spec=spec.model_dump_json(),
                    summary=json.dumps(summary),
                    group_id=f"{group:016x}",
                    colour=number,
                    created_at=first + number,
                    ended_at=first + number + 0.5,
                    last_seq=NUM_EVENTS,
                )
            )
            connection.execute(insert(events), _events(run_id, epochs, accuracy, random))
        _save_files(run_id, accuracy, random)
        ids.append(run_id)
    return ids[::-1]


def _events(
    run_id: str, epochs: int, accuracy: float, random: np.random.Generator
) -> list[dict[str, object]]:
    """Returns 1,000 rows: as many steps before each epoch's end as there is room for."""
    per_epoch = NUM_EVENTS // epochs
    rows = []
    for seq in range(1, NUM_EVENTS + 1):
        epoch, is_epoch = 1 + (seq - 1) // per_epoch, seq % per_epoch == 0
        loss, share = float(random.uniform(0.5, 2.0)), float(random.normal(accuracy, 0.02))
        values = {"train/loss": loss, "images_per_second": 99.5, "lr/head": 1e-3}
        if is_epoch:
            values |= {
                **{f"{split}/{metric}": share for split in ("train", "val") for metric in ("f1",)},
                "train/accuracy": min(1.0, share + 0.03),
                "val/accuracy": min(1.0, share),
                "val/loss": loss,
                "val_images_per_second": 201.5,
                "seconds": 0.5,
                "elapsed_seconds": 0.5 * epoch,
                "peak_memory_mib": 500.0 + epoch,
            }
        rows.append(
            {
                "run_id": run_id,
                "seq": seq,
                "time": 1e9 + seq,
                "kind": "epoch" if is_epoch else "step",
                "epoch": epoch,
                "step": seq,
                "values": json.dumps(values),
            }
        )
    return rows


def _save_files(run_id: str, accuracy: float, random: np.random.Generator) -> None:
    folder = run_folder(run_id)
    folder.mkdir(parents=True)
    labels_N = np.arange(NUM_VAL) % NUM_CLASSES
    right_N = random.random(NUM_VAL) < accuracy
    named_N = np.where(right_N, labels_N, (labels_N + 1) % NUM_CLASSES)
    probabilities_NK = random.dirichlet(np.ones(NUM_CLASSES), NUM_VAL).astype(np.float32)
    probabilities_NK[np.arange(NUM_VAL), named_N] += 1.0
    probabilities_NK /= probabilities_NK.sum(axis=1, keepdims=True)
    Predictions(labels_N, probabilities_NK, 1).save(folder)
    items = [Item(f"/photos/{n}.jpg", n % NUM_CLASSES, f"{n:032x}") for n in range(1_000 + NUM_VAL)]
    names = tuple(f"class {n}" for n in range(NUM_CLASSES))
    manifest = Manifest(names, tuple(items[NUM_VAL:]), tuple(items[:NUM_VAL]), (), "c0ffee")
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest.to_dict()))


def _measure(
    context: BrowserContext, dashboard: Dashboard, ids: Sequence[str], name: str, visits: int
) -> None:
    # Whoever comes first makes the server load what every later one uses, and the browser keep it.
    for _ in range(2):
        _visit(context, dashboard, ids[-1:])
    empty = statistics.median(_empty(context, dashboard) for _ in range(visits))
    print(f"  Search page by its address, {name}: there after {empty:.2f} s", flush=True)
    for count, rest in CHOICES:
        found = []
        for visit in range(visits):
            # Others each time, so that none is known from the visit before.
            chosen = ids[visit * count : (visit + 1) * count]
            found.append(_visit(context, dashboard, chosen, rest))
        how = f"{count} runs by address" if count else f"default by a click after {rest:.0f} s"
        opened, hovered, points, served, drew = zip(*found, strict=True)
        print(
            f"  {how}, {name}: drawn after "
            f"{statistics.median(opened):.2f} s (worst {max(opened):.2f}), in which the "
            f"server computes {statistics.median(served):.2f} s and the browser "
            f"{statistics.median(drew):.2f} s; pointer to label "
            f"{1000 * statistics.median(hovered):.0f} ms; {statistics.median(points):,.0f} points",
            flush=True,
        )


def _empty(context: BrowserContext, dashboard: Dashboard) -> float:
    page = context.new_page()
    began = time.perf_counter()
    page.goto(f"{dashboard.url}/search")
    page.wait_for_function(IDLE, timeout=60_000, polling=50)
    seconds = time.perf_counter() - began
    page.close()
    return seconds


def _computed(dashboard: Dashboard) -> tuple[float, float]:
    """Returns processor seconds that the server and the browser have taken so far."""
    server = psutil.Process(dashboard.pid)
    others = [one for one in psutil.Process().children(recursive=True) if one.pid != server.pid]
    total = 0.0
    for one in others:
        with contextlib.suppress(psutil.Error):
            total += sum(one.cpu_times()[:2])
    return sum(server.cpu_times()[:2]), total


def _visit(
    context: BrowserContext, dashboard: Dashboard, chosen: Sequence[str], rest: float = 0.0
) -> tuple[float, float, int, float, float]:
    """Returns what one visit takes.

    That is seconds until Compare is drawn, seconds until a chart answers, points, and processor
    seconds of server and browser until it is drawn.
    """
    page = context.new_page()
    if not chosen:
        page.goto(f"{dashboard.url}/search")
        page.wait_for_function(IDLE, timeout=60_000, polling=50)
        page.wait_for_timeout(1000 * rest)
    before = _computed(dashboard)
    began = time.perf_counter()
    if chosen:
        page.goto(f"{dashboard.url}/compare?{'&'.join(f'run={run_id}' for run_id in chosen)}")
    else:
        page.get_by_role("link", name="Compare", exact=True).first.click()
    page.wait_for_function(DRAWN, timeout=120_000, polling=50)
    opened = time.perf_counter() - began
    served, drew = (now - then for now, then in zip(_computed(dashboard), before, strict=True))
    points = int(page.evaluate(POINTS))
    hovered = _hover(page)
    page.close()
    return opened, hovered, points, served, drew


def _hover(page: Page) -> float:
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    began = time.perf_counter()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function(HOVER, timeout=60_000, polling=10)
    return time.perf_counter() - began
