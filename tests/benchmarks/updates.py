"""What each method of updating a model gains and forgets, over several seeds.

The clip art, base then new (two new classes), and the clothing photos (five) where they are there.
Each seed trains its own base model, which all methods then update with the same strategy, learning
rate and epochs; methods that keep the backbone are frozen. Every image of the new batch, of known
classes and of new ones, is learnt from; both validation sets judge. By default the last two stages
learn, on what comes before them, which is computed once for all; `--strategy full` takes three to
ten times as much computing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from engine.insight.update_methods import MethodResult, Spread, method_results
from engine.insight.updates import update_of
from engine.runs.store import Store
from engine.update.methods import METHODS

ROOT = Path(__file__).parents[2]
DATA = {
    "clip art": ROOT / "sample_data" / "clipart",
    "clothing": ROOT.parent / "shared" / "data" / "clothing",
}


def main(options: Sequence[str] = ()) -> None:
    """Prints a table a data set, as Markdown, and what replay recovers of what naive forgets."""
    asked = _parser().parse_args(options)
    for name, folder in DATA.items():
        if asked.data not in ("all", name):
            continue
        if not folder.is_dir():
            print(f"  {name}: there is no {folder}, so it is left out", flush=True)
            continue
        with tempfile.TemporaryDirectory() as home:
            results = _measured(Path(home), folder, asked)
        print(
            f"\n### {name}, {asked.size} px, {asked.backbone}, {asked.strategy}, {asked.seeds} "
            "seeds\n"
        )
        print(_table(results))
        print(f"\n{_recovered(results)}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("updates")
    parser.add_argument("--data", default="all", choices=("all", *DATA))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--strategy", default="partial")
    parser.add_argument("--base-epochs", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--set", action="append", default=[], help="as of thaw update")
    return parser


def _measured(home: Path, folder: Path, asked: argparse.Namespace) -> list[MethodResult]:
    os.environ["THAW_HOME"] = str(home)
    for seed in range(asked.seeds):
        base = _thaw(
            *("train", "--data", str(folder / "base"), "--strategy", asked.strategy),
            *("--backbone", asked.backbone, "--image-size", str(asked.size)),
            *("--epochs", str(asked.base_epochs), "--seed", str(seed), "--json"),
        )
        settings = [part for text in asked.set for part in ("--set", text)]
        _thaw(
            *("update", json.loads(base)["run_id"], "--data", str(folder / "new"), "--json"),
            *("--method", asked.methods, "--epochs", str(asked.epochs), *settings),
        )
        print(f"  seed {seed} done", file=sys.stderr, flush=True)
    store = Store()
    runs = sorted(store.all_runs(), key=lambda run: run.created_at)
    found = [update for run in runs if (update := update_of(run)) is not None]
    store.close()
    return method_results(found)


def _thaw(*arguments: str) -> str:
    command = [sys.executable, "-m", "engine.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed: {done.stderr[-2000:]}")
    return done.stdout


def _table(results: Sequence[MethodResult]) -> str:
    lines = [
        "| method | old, before | old | new | all | forgotten | CPU seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in results:
        figures = (one.before_old, one.old, one.new, one.all, one.forgotten)
        # Other processes on the machine hardly change it.
        times = [each.run.summary["cpu_seconds"] for each in one.updates]
        lines.append(
            f"| {one.label} (`{one.method}`) | "
            + " | ".join(_percent(figure) for figure in figures)
            + f" | {statistics.fmean(times):.0f} |"
        )
    return "\n".join(lines)


def _percent(figure: Spread | None) -> str:
    if figure is None:
        return "–"
    spread = "" if figure.deviation is None else f" ± {100 * figure.deviation:.1f}"
    return f"{100 * figure.mean:.1f}{spread}"


def _recovered(results: Sequence[MethodResult]) -> str:
    """Returns in words how much of what naive forgets replay keeps, seed by seed."""
    by_method = {one.method: one for one in results}
    naive, replay = by_method.get("naive"), by_method.get("replay")
    if naive is None or replay is None:
        return ""
    pairs = [
        (before.forgotten or 0.0, after.forgotten or 0.0)
        for before, after in zip(naive.updates, replay.updates, strict=True)
    ]
    shares = [1 - after / before for before, after in pairs if before > 0]
    listed = ", ".join(f"{100 * share:.0f} %" for share in shares)
    whole = 1 - sum(after for _, after in pairs) / max(sum(before for before, _ in pairs), 1e-9)
    return f"Of what naive forgets, replay keeps {100 * whole:.0f} % (seed by seed {listed})."
