"""Events are plain JSON, one a line, without NaN."""

import json
import math

import pytest

from engine.events import MetricEvent


def test_an_event_is_one_line_of_json() -> None:
    event = MetricEvent("abc", 3, 12.5, "epoch", 2, 8, {"val/loss": 0.5, "note": "a\nb", "x": None})
    text = event.to_json()
    assert "\n" not in text
    assert json.loads(text) == {
        "run_id": "abc",
        "seq": 3,
        "time": 12.5,
        "kind": "epoch",
        "epoch": 2,
        "step": 8,
        "values": {"val/loss": 0.5, "note": "a\nb", "x": None},
    }


def test_nan_is_refused_because_browsers_cannot_read_it() -> None:
    with pytest.raises(ValueError, match="JSON"):
        MetricEvent("abc", 1, 0.0, "step", values={"train/loss": math.nan}).to_json()
