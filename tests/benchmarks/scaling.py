"""How time grows with epochs and with the number of runs, as growth exponents, and a figure.

An exponent of 1 is proportional growth; what is computed once keeps it far below. The growth with
pictures is in `many_images`.
"""

import math
import tempfile
from pathlib import Path

import plotly.graph_objects as go

from tests.benchmarks.contenders import Task, measure
from tests.benchmarks.served import save_figure

EPOCHS = (5, 20, 80)
RUNS = (1, 4, 16)


def main() -> None:
    """Prints seconds and exponents for Thaw and the plain loop, and keeps a figure."""
    plain = measure("plain", Task())
    thaw = [measure("thaw", Task(epochs=epochs)).seconds(epochs) for epochs in EPOCHS]
    by_epochs = {"Thaw": thaw, "plain loop": [plain.seconds(epochs) for epochs in EPOCHS]}
    with tempfile.TemporaryDirectory() as home:
        # Another seed would be another backbone, since its weights are random here.
        tasks = [Task(epochs=20, lr=1e-3 * number) for number in range(1, max(RUNS) + 1)]
        done = [measure("thaw", task, Path(home)).seconds(20) for task in tasks]
    by_runs = {
        "Thaw": [sum(done[:count]) for count in RUNS],
        "plain loop": [count * plain.seconds(20) for count in RUNS],
    }
    _tell("epochs", EPOCHS, by_epochs)
    _tell("frozen runs of 20 epochs on the same pictures", RUNS, by_runs)
    traces = [
        go.Scatter(name=f"{who}, by {what}", x=numbers, y=seconds, mode="lines+markers")
        for what, numbers, table in (("epochs", EPOCHS, by_epochs), ("runs", RUNS, by_runs))
        for who, seconds in table.items()
    ]
    axes = {
        "xaxis": {"title": "epochs, or runs", "type": "log"},
        "yaxis": {"title": "seconds", "type": "log"},
    }
    save_figure(go.Figure(traces, {"title": "Growth", **axes}), "scaling")


def _tell(what: str, numbers: tuple[int, ...], table: dict[str, list[float]]) -> None:
    for who, seconds in table.items():
        exponent = math.log(seconds[-1] / seconds[0]) / math.log(numbers[-1] / numbers[0])
        listed = ", ".join(f"{n}: {s:.1f} s" for n, s in zip(numbers, seconds, strict=True))
        print(f"  {what}, {who}: {listed}; exponent {exponent:.2f}", flush=True)
