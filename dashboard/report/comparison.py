"""All that a report rests on, collected once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.data.manifest import MANIFEST_FILE, Manifest
from engine.errors import DataError
from engine.home import run_folder
from engine.insight.compare import RunReport, fairness_warnings
from engine.insight.experiment import Pair, Way
from engine.insight.ranking import judged_ways, leading_pair, ranked
from engine.redact import redacted_value
from engine.runs.exporting import Cleaner
from engine.runs.store import Store
from engine.training.predictions import Predictions

Allowed = Callable[[str], bool]


@dataclass(frozen=True)
class Detail:
    """How much goes into a report.

    Attributes:
        points: of a line.
        pictures: of each kind.
        matrices: confusion matrices, one a run.
    """

    points: int
    pictures: int
    matrices: int


@dataclass(frozen=True)
class Comparison:
    """Runs to report on.

    Attributes:
        store: has their events.
        reports: of the runs, in the order in which they were named.
        may_show: says of an image's path whether the image may go into the report; None where it
            only names them.
        made_at: seconds since the Unix epoch.
        detail: how much goes in.
    """

    store: Store
    reports: tuple[RunReport, ...]
    may_show: Allowed | None
    made_at: float
    detail: Detail
    _manifests: dict[str, Manifest | str] = field(default_factory=dict, compare=False)

    @cached_property
    def judged(self) -> tuple[list[Way], list[Pair]]:
        """The ways in which the runs were trained, as far as they were judged, and the pairs."""
        return judged_ways(self.reports)

    @property
    def ways(self) -> list[Way]:
        """Ways of training that were judged."""
        return self.judged[0]

    @property
    def pairs(self) -> list[Pair]:
        """Two ways each."""
        return self.judged[1]

    @property
    def leading(self) -> Pair | None:
        """The pair that the verdict is about."""
        return leading_pair(*self.judged)

    @cached_property
    def warnings(self) -> list[str]:
        """Why the runs cannot be compared as they stand."""
        return fairness_warnings(self.reports)

    @property
    def telling(self) -> list[RunReport]:
        """The runs whose images are shown: of the two leading ways, or the best one alone."""
        ways: Sequence[Way] = ranked(self.ways)[:1]
        if self.leading is not None:
            ways = (self.leading.first, self.leading.second)
        return [_first_judged(way) for way in ways]

    def predictions(self) -> list[tuple[RunReport, Predictions, Manifest]]:
        """Returns what the runs say of their validation images, as far as that is known."""
        found = []
        for one in self.reports:
            predictions, manifest = one.predictions(), self.manifest(one)
            if predictions is not None and isinstance(manifest, Manifest):
                found.append((one, predictions, manifest))
        return found

    def manifest(self, one: RunReport) -> Manifest | str:
        """Returns the list of a run's images, or a sentence on why there is none."""
        if one.run.id not in self._manifests:
            try:
                found: Manifest | str = Manifest.from_file(run_folder(one.run.id) / MANIFEST_FILE)
            except DataError as error:
                found = self.clean(one, str(error))
            self._manifests[one.run.id] = found
        return self._manifests[one.run.id]

    def clean(self, one: RunReport, value: Any) -> str:
        """Returns a text without secrets and without where things lie on this machine."""
        return str(redacted_value(Cleaner(one.run)(str(value))))


def _first_judged(way: Way) -> RunReport:
    """Returns the run of a way's first seed that has predictions."""
    return next((one for one in way.reports if one.run.spec.seed in way.seeds), way.reports[0])
