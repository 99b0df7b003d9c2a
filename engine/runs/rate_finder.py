"""Learning-rate finders that work in processes of their own: start, follow, stop. No torch.

What one found is kept in THAW_HOME's cache, under a name that follows from all settings on which
the curves depend. So a second look needs no second test, and a rate that is adopted does not put
the curves away.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import ThawError
from engine.models.catalogue import backbone_record
from engine.runs.background import Work, WorkState, WorkStatus
from engine.spec import Act, OptimiserSpec, RunSpec
from engine.strategies import STRATEGIES
from engine.training.plan import rate_plan
from engine.training.range_test import RangeTest, learning_stages

MODULE = "engine.runs.rate_finder_worker"
# Goes up when the same spec would give other curves.
EDITION = 1
# What a range test does not read: it sets the rates itself, and ends before any of this counts.
_RATES = ("lr", "backbone_lr", "schedule", "warmup", "decay_rate", "decay_steps", "staircase")
_DROPS = ("drop_factor", "drop_every", "patience")
_TRAINING = ("early_stopping", "max_minutes", "ema_decay")


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
    """

    status: WorkStatus
    task: str = ""
    done: int = 0
    total: int = 0
    tests: tuple[RangeTest, ...] = ()
    reason: str = ""
    at: float = 0.0

    @property
    def is_working(self) -> bool:
        """Whether it goes on."""
        return self.status == "working"

    def test(self, group: str) -> RangeTest | None:
        """Returns the test of a group, None where there is none."""
        return next((test for test in self.tests if test.group == group), None)


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


def finder_work(key: str) -> Work:
    """Returns the work of the finder of a key."""
    return Work("lr-finder", key, "Trying learning rates")


def finder_state(spec: RunSpec) -> FinderState | None:
    """Returns how the finder of a spec stands, None where there was none.

    A finder whose process is gone has failed.
    """
    state = finder_work(finder_key(spec)).state()
    if state is None:
        return None
    try:
        tests = tuple(RangeTest.parse(test) for test in (state.result or {}).get("tests", ()))
    except (TypeError, AttributeError, ThawError):
        return None
    return FinderState(
        state.status, state.task, state.done, state.total, tests, state.reason, state.at
    )


def start_finder(spec: RunSpec) -> None:
    """Starts a finder for a spec, unless one is at work already; what it found before is lost."""
    finder_work(finder_key(spec)).start(MODULE, plain_spec(spec).model_dump_json())


def stop_finder(spec: RunSpec) -> None:
    """Asks a finder to end; it does within a step, and leaves no curve."""
    finder_work(finder_key(spec)).stop()


def keep_tests(spec: RunSpec, tests: tuple[RangeTest, ...]) -> None:
    """Keeps what was found for a spec, in place of what was found before."""
    finder_work(finder_key(spec)).keep(WorkState("finished", "", result=found_tests(tests)))


def found_tests(tests: tuple[RangeTest, ...]) -> dict[str, Any]:
    """Returns tests in the form in which they are kept."""
    return {"tests": [asdict(test) for test in tests]}
