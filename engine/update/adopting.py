"""Which model of a lineage is in use: adopts an update in its place, and takes that back.

The record is in the store and only grows; which model is in use follows from it. No torch here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import SpecError
from engine.home import CHECKPOINT_FILE, run_folder
from engine.insight.updates import Update, update_of
from engine.runs.store import Adoption, Run, Store
from engine.runs.store.adoptions import stack_of
from engine.update.gate import Judgement, Rule, judge
from engine.update.lineage import Family, family_of


@dataclass(frozen=True)
class Standing:
    """A lineage and which of its models is in use.

    Attributes:
        family: its models.
        name: what the record calls it: the key of the model that it began with.
        record: its adoptions and what was undone, in order.
    """

    family: Family
    name: str
    record: tuple[Adoption, ...]

    @property
    def stack(self) -> tuple[str, ...]:
        """Models that were in use one after another, each before the one that took its place."""
        return stack_of(self.record) or (self.name,)

    @property
    def in_use(self) -> str:
        """Key of the model in use; the first one where no update was adopted."""
        return self.stack[-1]


def standing_of(store: Store, run_id: str) -> Standing:
    """Returns a run's lineage and which of its models is in use.

    Raises:
        RunNotFoundError: there is no such run.
    """
    family = family_of(store.all_runs(hidden=True), run_id)
    record = store.adoptions()
    # A lineage keeps its name where the model that it began with is gone by now.
    named = [one.lineage for one in record if {one.run_id, one.other} & set(family.members)]
    name = named[-1] if named else family.root.key
    return Standing(family, name, tuple(one for one in record if one.lineage == name))


def update_to_adopt(run: Run) -> Update:
    """Returns what an update came to that could be adopted.

    Raises:
        SpecError: the run is no update, goes on, was deleted, or has kept nothing.
        DataError: what it kept is damaged.
    """
    named = f"{run.name} ({run.id})"
    if not run.spec.update.start:
        raise SpecError(f"{named} updates no model; only an update can be adopted.")
    if run.is_active or run.status == "paused":
        raise SpecError(f"{named} has not ended ({run.status}); adopt it once it has.")
    if run.deleted_at is not None:
        raise SpecError(f"{named} was deleted; bring it back first: thaw restore {run.id}.")
    update = update_of(run)
    if update is None or not (run_folder(run.id) / CHECKPOINT_FILE).is_file():
        raise SpecError(
            f"{named} has not kept its model and what it says before and after, so it cannot be "
            "judged; update the model anew."
        )
    return update


def why_not_next(standing: Standing, run: Run) -> str:
    """Returns why an update cannot follow the model in use, whatever it came to; or nothing."""
    members = standing.family.members
    if standing.in_use == run.id:
        return f"{run.name} ({run.id}) is in use already."
    parent = members[run.id].parent
    if parent == standing.in_use:
        return ""
    there = members.get(standing.in_use)
    used = f"{there.name} ({there.key})" if there else standing.in_use
    before = members[parent]
    return (
        f"It was judged against {before.name} ({before.key}), which it updates, but in use is "
        f"{used}: adopt {before.name} first, or go back to it."
    )


def adopt(store: Store, run: Run, rule: Rule, force: bool = False) -> Adoption:
    """Takes an update into use where it keeps to a rule, and returns the line of the record.

    Args:
        store: gets the record.
        run: the update.
        rule: to keep to.
        force: adopt it even if it does not; the record says so.

    Raises:
        SpecError: it does not keep to the rule, is in use already, or cannot be judged.
        DataError: what it kept is damaged.
    """
    judgement = judge(update_to_adopt(run), rule)
    standing = standing_of(store, run.id)
    if standing.in_use == run.id:
        raise SpecError(why_not_next(standing, run))
    refusals = [one for one in (*judgement.refusals, why_not_next(standing, run)) if one]
    if refusals and not force:
        raise SpecError(
            f"{run.name} ({run.id}) is not adopted. {' '.join(refusals)} To adopt it all the same, "
            "say so: --force."
        )
    details = _details(run, judgement, refusals)
    return store.add_adoption(
        standing.name, "adopted", run.id, standing.in_use, details, standing.record
    )


def _details(run: Run, judgement: Judgement, refusals: Sequence[str]) -> dict[str, Any]:
    return {
        "name": run.name,
        "method": run.spec.update.method,
        "forced": bool(refusals),
        "refusals": list(refusals),
        **judgement.to_dict(),
    }


def undo_adoption(store: Store, run_id: str) -> Adoption:
    """Takes the model before an update into use again, and returns the line of the record.

    Raises:
        SpecError: that update is not in use.
        RunNotFoundError: there is no such run.
    """
    standing = standing_of(store, run_id)
    if len(standing.stack) < 2 or standing.in_use != run_id:
        in_use = f"in use is {standing.in_use}" if standing.record else "none was ever adopted"
        raise SpecError(f"Run {run_id} is no adopted update in use ({in_use}); see: thaw adopted.")
    before = standing.stack[-2]
    names = {one.key: one.name for one in standing.family.members.values()}
    details = {"name": names[run_id], "in_use": names.get(before, before)}
    return store.add_adoption(standing.name, "undone", run_id, before, details, standing.record)
