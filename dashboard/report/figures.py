"""Figures as JSON that is no larger than need be and can stand in a page."""

import base64
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go

from engine.insight.thinning import kept_places

DIGITS = 6
# What a line has one of a point.
OF_POINTS = ("x", "y", "text", "hovertext", "customdata", "ids")


def figure_json(figure: go.Figure, most_points: int) -> str:
    """Returns a figure as JSON for a page: lines thinned, numbers to six digits, no theme.

    Args:
        figure: is left as it is.
        most_points: of a line.
    """
    spec = json.loads(figure.to_json())
    spec["layout"].pop("template", None)
    spec["data"] = [_thinned(_unpacked(trace), most_points) for trace in spec["data"]]
    text = json.dumps(_rounded(spec), separators=(",", ":"), allow_nan=False)
    # Nothing in it ends the element that it stands in.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _unpacked(trace: dict[str, Any]) -> dict[str, Any]:
    """Returns a trace whose numbers are lists; Plotly packs arrays as binary in texts."""
    found = {}
    for name, value in trace.items():
        if isinstance(value, dict) and "bdata" in value:
            array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
            if "shape" in value:
                array = array.reshape([int(part) for part in str(value["shape"]).split(",")])
            value = array.tolist()
        found[name] = value
    return found


def _thinned(trace: dict[str, Any], most_points: int) -> dict[str, Any]:
    ys = trace.get("y")
    is_line = trace.get("type", "scatter") == "scatter" and "lines" in trace.get("mode", "lines")
    if not is_line or not isinstance(ys, list) or len(ys) <= most_points:
        return trace
    gaps = [np.nan if y is None else y for y in ys]
    kept = kept_places([gaps], most_points).tolist()
    of_points = {
        name: [values[place] for place in kept]
        for name in OF_POINTS
        if isinstance(values := trace.get(name), list) and len(values) == len(ys)
    }
    return trace | of_points


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return value
