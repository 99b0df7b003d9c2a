"""Thaw against a plain PyTorch loop, timm, fastai and Keras: a table with ratios, and a figure.

Same pictures, size, batch, epochs and kind of network, from nothing to a trained model. The others
do the same in every epoch, so a few epochs are timed and scaled. What Thaw keeps on disk is empty
at first; `again` is the next run on the same pictures. THAW_BENCH_FOLDER names other pictures, in
`train/<class>/` and `val/<class>/`. fastai and Keras need `pip install '.[peers]'`.
"""

import os
import tempfile
from pathlib import Path

import plotly.graph_objects as go
from rich.console import Console
from rich.table import Table

from tests.benchmarks.contenders import TITLES, Task, is_installed, measure
from tests.benchmarks.served import save_figure
from tests.conftest import CLIPART

EPOCHS = {"frozen": 20, "partial": 20, "full": 2}
TIMED_EPOCHS = 2
# Of those that do as Thaw does with a part of the stages.
PARTIAL = ("plain", "tuned")


def main() -> None:
    """Prints the table, and keeps it as a figure."""
    folder = os.environ.get("THAW_BENCH_FOLDER", str(CLIPART))
    found: dict[str, dict[str, float]] = {}
    for strategy, epochs in EPOCHS.items():
        found[strategy] = seconds_of(Task(folder=folder, strategy=strategy), epochs)
        ours = found[strategy]["thaw"]
        table = Table("", "seconds", "×", title=f"{strategy}, {epochs} epochs")
        for name, seconds in found[strategy].items():
            table.add_row(TITLES.get(name, name), f"{seconds:.1f}", f"{seconds / ours:.1f}")
        Console().print(table)
    save_figure(figure(found), "side_by_side")


def seconds_of(task: Task, epochs: int) -> dict[str, float]:
    """Returns how long each contender takes for so many epochs."""
    with tempfile.TemporaryDirectory() as home:
        whole = Task(**{**vars(task), "epochs": epochs})
        thaw, again = (measure("thaw", whole, Path(home)) for _ in range(2))
    found = {"thaw": thaw.seconds(epochs), "Thaw, again": again.seconds(epochs)}
    for name in list(TITLES)[1:]:
        if not is_installed(name):
            print(f"  {name} is not installed: pip install '.[peers]'")
        elif task.strategy != "partial" or name in PARTIAL:
            few = Task(**{**vars(task), "epochs": TIMED_EPOCHS})
            found[name] = measure(name, few).seconds(epochs)
    return found


def figure(found: dict[str, dict[str, float]]) -> go.Figure:
    """Returns seconds as bars, a group a strategy."""
    names = list(dict.fromkeys(name for seconds in found.values() for name in seconds))
    titles = [f"{strategy}, {EPOCHS[strategy]} epochs" for strategy in found]
    bars = [
        go.Bar(
            name=TITLES.get(name, name),
            x=titles,
            y=[seconds.get(name) for seconds in found.values()],
            texttemplate="%{y:.0f} s",
        )
        for name in names
    ]
    layout = {
        "yaxis": {"title": "seconds (log)", "type": "log"},
        "title": "From nothing to trained",
    }
    return go.Figure(bars, layout)
