"""The commands that train the runs of a comparison anew, and compare them again. No torch here."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.insight.compare import RunReport
from engine.redact import redacted_value
from engine.runs.plain import printable
from engine.runs.replay import replay_spec

_END = "END_OF_SPEC"
_RUN_ID = "import json, sys; print(json.load(sys.stdin)['run_id'])"


@dataclass(frozen=True)
class Reproduction:
    """How one run is trained anew.

    Attributes:
        run_id: of the run.
        name: that the new run gets.
        file: name for a file that holds the spec.
        spec_json: all that decides the result, with what was steered at its steps.
        here: the command where the run is in the store.
        anywhere: the command where the file is.
    """

    run_id: str
    name: str
    file: str
    spec_json: str
    here: str
    anywhere: str

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "run": self.run_id,
            "here": self.here,
            "anywhere": self.anywhere,
            "spec": json.loads(self.spec_json),
        }


def reproduction(one: RunReport) -> Reproduction:
    """Returns how a run is trained anew."""
    run = one.run
    spec = replay_spec(run.spec, one.acts)
    file = f"{re.sub(r'[^a-z0-9]+', '-', spec.strategy.name.lower())}-{run.id}.json"
    name = " ".join(printable(run.name).split())
    return Reproduction(
        run_id=run.id,
        name=name,
        file=file,
        spec_json=json.dumps(redacted_value(spec.model_dump(mode="json")), indent=1),
        here=f"thaw {'replay' if one.acts else 'retry'} {run.id}",
        anywhere=f"thaw train --spec {file} --name {shlex.quote(name)}",
    )


def comparison_commands(reports: Sequence[RunReport]) -> list[str]:
    """Returns the commands that compare the same runs again, where they are in the store."""
    ids = " ".join(one.run.id for one in reports)
    compare = [f"thaw compare {ids}"] if len(reports) > 1 else []
    return [*compare, f"thaw report {ids} --out report.html"]


def script(reproductions: Sequence[Reproduction]) -> str:
    """Returns a shell script that trains all runs anew, one after the other, and reports on them.

    It needs nothing but Thaw, and the images where the specs say that they are.
    """
    specs = [f"cat > {one.file} <<'{_END}'\n{one.spec_json}\n{_END}" for one in reproductions]
    trained = [f'ids="$ids $(again {one.file} {shlex.quote(one.name)})"' for one in reproductions]
    return "\n".join(
        [
            "#!/bin/sh",
            "set -e",
            *specs,
            "again() {",
            '  thaw train --spec "$1" --name "$2" --json \\',
            f'    | python3 -c "{_RUN_ID}"',
            "}",
            "ids=",
            *trained,
            "thaw report $ids --out report-again.html",
            "",
        ]
    )
