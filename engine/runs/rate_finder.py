"""Learning-rate finders that work in processes of their own: start, follow, stop. No torch.

What one found is kept in THAW_HOME's cache, under a name that follows from all settings on which
the curves depend. So a second look needs no second test, and a rate that is adopted does not put
the curves away.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine.errors import ThawError
from engine.files import write_text
from engine.home import cache_folder
from engine.models.catalogue import backbone_record
from engine.runs.process import is_alive, start_detached
from engine.spec import Act, OptimiserSpec, RunSpec
from engine.strategies import STRATEGIES
from engine.training.plan import rate_plan
from engine.training.range_test import RangeTest, learning_stages

FinderStatus = Literal["working", "finished", "stopped", "failed"]

MODULE = "engine.runs.rate_finder_worker"
# Goes up when the same spec would give other curves.
EDITION = 1
# A process that has not said a word after this long never will.
SILENT_SECONDS = 60.0
# What a range test does not read: it sets the rates itself, and ends before any of this counts.
_RATES = ("lr", "backbone_lr", "schedule", "warmup", "decay_rate", "decay_steps", "staircase")
_DROPS = ("drop_factor", "drop_every", "patience")
_TRAINING = ("early_stopping", "ema_decay")


@dataclass(frozen=True)
class FinderState:
    """A finder as it stands.

    Attributes:
        status: whether it works, and if not, how it ended.
        task: what it does now.
        done: how much of the task.
        total: of so much; 0 where that is not known.
        tests: what it found: of the head, of the backbone.
        reason: why it failed, in one sentence; else empty.
        at: when this was written, in seconds since the Unix epoch.
        pid: of its process; None before that has begun.
        pid_started: when the process started, in seconds since the Unix epoch.
    """

    status: FinderStatus = "working"
    task: str = "starting"
    done: int = 0
    total: int = 0
    tests: tuple[RangeTest, ...] = ()
    reason: str = ""
    at: float = 0.0
    pid: int | None = None
    pid_started: float | None = None

    @property
    def is_working(self) -> bool:
        """Whether it goes on."""
        return self.status == "working"

    def test(self, group: str) -> RangeTest | None:
        """Returns the test of a group, None where there is none."""
        return next((test for test in self.tests if test.group == group), None)

    @classmethod
    def parse(cls, text: str) -> "FinderState":
        """Returns the state that a JSON text describes.

        Raises:
            TypeError: it describes none.
            ValueError: it is no JSON.
            TrainingError: its tests are none.
        """
        values: dict[str, Any] = json.loads(text)
        tests = tuple(RangeTest.parse(test) for test in values.pop("tests", ()))
        return cls(**values, tests=tests)


def plain_spec(spec: RunSpec) -> RunSpec:
    """Returns the spec with defaults for all that its curves do not depend on."""
    strategy = STRATEGIES[spec.strategy.name]
    plain = OptimiserSpec(lr=strategy.default_lr).model_dump(include={*_RATES, *_DROPS})
    training = {name: type(spec.training).model_fields[name].default for name in _TRAINING}
    steering: tuple[Act, ...] = ()
    return spec.model_copy(
        update={
            "optimiser": spec.optimiser.model_copy(update=plain),
            "training": spec.training.model_copy(update=training),
            "steering": steering,
        }
    )


def finder_key(spec: RunSpec) -> str:
    """Returns the name of the curves of a spec; epochs count only for which stages ever learn."""
    phases = rate_plan(spec, backbone_record(spec.model.backbone).stage_names, 1).phases
    values = plain_spec(spec).model_dump(exclude={"training": {"epochs"}})
    text = json.dumps([EDITION, values, learning_stages(phases)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def state_file(key: str) -> Path:
    """Returns where the state of a finder is kept."""
    return cache_folder("lr-finder") / f"{key}.json"


def spec_file(key: str) -> Path:
    """Returns where the spec of a finder is kept."""
    return cache_folder("lr-finder") / f"{key}.spec.json"


def stop_file(key: str) -> Path:
    """Returns the file whose presence asks a finder to end."""
    return cache_folder("lr-finder") / f"{key}.stop"


def log_file(key: str) -> Path:
    """Returns where the output of a finder's process goes."""
    return cache_folder("lr-finder") / f"{key}.log"


def finder_state(spec: RunSpec) -> FinderState | None:
    """Returns how the finder of a spec stands, None where there was none.

    A finder whose process is gone has failed.
    """
    key = finder_key(spec)
    state = _read(key)
    if state is None or not state.is_working or not _is_gone(state):
        return state
    # It may have ended well between the two looks.
    state = _read(key) or state
    if not state.is_working:
        return state
    reason = (
        "The process that tried learning rates ended without a word; try again. What it wrote is "
        f"in {log_file(key)}."
    )
    return replace(state, status="failed", reason=reason)


def start_finder(spec: RunSpec) -> None:
    """Starts a finder for a spec, unless one is at work already; what it found before is lost."""
    key = finder_key(spec)
    state = finder_state(spec)
    if state is not None and state.is_working:
        return
    write_text(spec_file(key), plain_spec(spec).model_dump_json())
    stop_file(key).unlink(missing_ok=True)
    keep_state(key, FinderState())
    start_detached([MODULE, key], log_file(key))


def stop_finder(spec: RunSpec) -> None:
    """Asks a finder to end; it does within a step, and leaves no curve."""
    stop_file(finder_key(spec)).touch()


def keep_state(key: str, state: FinderState) -> None:
    """Writes how a finder stands, whole or not at all."""
    write_text(state_file(key), json.dumps(asdict(replace(state, at=time.time()))))


def keep_tests(spec: RunSpec, tests: tuple[RangeTest, ...]) -> None:
    """Keeps what was found for a spec, in place of what was found before."""
    keep_state(finder_key(spec), FinderState("finished", "", tests=tests))


def _read(key: str) -> FinderState | None:
    try:
        return FinderState.parse(state_file(key).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, AttributeError, ThawError):
        return None


def _is_gone(state: FinderState) -> bool:
    if state.pid is None or state.pid_started is None:
        return time.time() - state.at > SILENT_SECONDS
    return not is_alive(state.pid, state.pid_started)
