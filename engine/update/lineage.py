"""Which run updates which: the family of a model, from its beginning to its newest updates.

No torch here.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from engine.errors import RunNotFoundError
from engine.home import home_path
from engine.runs.exporting import IMPORTED
from engine.runs.store import Run

RUN_ID = re.compile(r"[0-9a-f]{8}|[0-9a-f]{16}")
RUNS_FOLDER = "runs"

State = Literal["here", "deleted", "gone", "file"]


@dataclass(frozen=True)
class Member:
    """A model in a lineage.

    Attributes:
        key: id of its run, or the path of a checkpoint that is of no run.
        run: that made it; None of a file, and where the run is gone.
        parent: key of the model that it updates; empty where there is none.
    """

    key: str
    run: Run | None
    parent: str

    @property
    def state(self) -> State:
        """Whether the run is here, thrown away (it can be had back), or gone, or was never one."""
        if self.run is not None:
            return "here" if self.run.deleted_at is None else "deleted"
        return "gone" if RUN_ID.fullmatch(self.key) else "file"

    @property
    def name(self) -> str:
        """What a person reads."""
        if self.run is not None:
            return self.run.name
        return f"run {self.key}" if self.state == "gone" else Path(self.key).name

    @property
    def sentence(self) -> str:
        """What is to be said of a model whose run is not at hand; empty where it is."""
        if self.state == "deleted":
            return (
                f"{self.name} ({self.key}) was deleted; for seven days it can be had back: "
                f"thaw restore {self.key}."
            )
        if self.state == "gone":
            return (
                f"Run {self.key} is not here: it was removed for good, or its update came from "
                "another machine without it."
            )
        return f"{self.name} is a checkpoint of no run that is known here." if not self.run else ""


@dataclass(frozen=True)
class Family:
    """All models that come from one.

    Attributes:
        members: by key; each after the one that it updates, then by age.
    """

    members: Mapping[str, Member]

    @property
    def root(self) -> Member:
        """The model that all others come from."""
        return next(iter(self.members.values()))

    @cached_property
    def children(self) -> Mapping[str, tuple[Member, ...]]:
        """Of each key the models that update it, oldest first."""
        return {
            key: tuple(one for one in self.members.values() if one.parent == key)
            for key in self.members
        }

    def chain(self, key: str) -> tuple[Member, ...]:
        """Returns the models from the root to one of them."""
        found = [self.members[key]]
        while found[-1].parent:
            found.append(self.members[found[-1].parent])
        return tuple(reversed(found))

    def newest(self, key: str) -> Member:
        """Returns the last finished update that comes from a model; itself where there is none."""
        below = [
            one
            for one in self.members.values()
            if one.run is not None
            and one.state == "here"
            and one.run.status == "finished"
            and key in {other.key for other in self.chain(one.key)}
        ]
        created = [one.run.created_at for one in below if one.run is not None]
        return below[created.index(max(created))] if below else self.members[key]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about models whose run is not at hand."""
        return tuple(one.sentence for one in self.members.values() if one.sentence)


def family_of(runs: Iterable[Run], run_id: str) -> Family:
    """Returns all that is known of where a run comes from, and of what came from it.

    Args:
        runs: all of the store, hidden ones too.
        run_id: of one of them.

    Raises:
        RunNotFoundError: it is not among them.
    """
    by_id = {run.id: run for run in runs}
    if run_id not in by_id:
        raise RunNotFoundError(f"There is no run {run_id!r}; `thaw runs` lists them.")
    parents = parents_of(list(by_id.values()))
    root, seen = run_id, {run_id}
    # A run that came from a file may claim to update what updates it.
    while parents.get(root) and parents[root] not in seen:
        root = parents[root]
        seen.add(root)
    members: dict[str, Member] = {}
    ordered = sorted(by_id.values(), key=lambda run: (run.created_at, run.id))
    waiting = [root]
    while waiting:
        key = waiting.pop(0)
        parent = parents.get(key, "") if members else ""
        members[key] = Member(key, by_id.get(key), parent)
        waiting += [
            run.id for run in ordered if parents.get(run.id) == key and run.id not in members
        ]
    return Family(members)


def parents_of(runs: Sequence[Run]) -> dict[str, str]:
    """Returns for the id of each run that is an update the key of what it updates."""
    here = {run.id: run.id for run in runs}
    # A run from a file may have got another id here than it had where it was trained.
    brought = {
        str(run.summary[IMPORTED].get("id")): run.id for run in runs if run.summary.get(IMPORTED)
    }
    found = {}
    for run in runs:
        # Whole specs are long in reading, and most runs are no updates.
        start = str((json.loads(run.spec_json).get("update") or {}).get("start") or "")
        if start:
            known = here | brought if run.summary.get(IMPORTED) else brought | here
            found[run.id] = _key(start, known)
    return found


def _key(start: str, known: Mapping[str, str]) -> str:
    """Returns the id of the run that `update.start` means, or the path of a checkpoint of none."""
    if RUN_ID.fullmatch(start):
        return known.get(start, start)
    folder = Path(start).expanduser().absolute().parent
    if folder.parent.name != RUNS_FOLDER or not RUN_ID.fullmatch(folder.name):
        return start
    is_ours = folder.parent.resolve() == home_path().resolve() / RUNS_FOLDER
    return known.get(folder.name, folder.name if is_ours else start)
