"""A lineage as a picture: which model updates which, and which is in use.

Pure functions from plain records to HTML; `lineage_picture.css` says how it looks.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from dashboard.words import colour_of, percent
from engine.update.lineage import Family, Member
from engine.update.methods import METHODS

GREY = "#808b98"
# Of more updates of one model, the newest are drawn; an experiment makes dozens.
MOST_ASIDE = 6
STATES = {
    "here": "",
    "deleted": "deleted; it can be had back for seven days",
    "gone": "not here any more",
    "file": "a checkpoint of no run here",
}


@dataclass(frozen=True)
class Place:
    """Where a model is drawn: rows count from the top, lanes from the left, both from 0."""

    row: int
    lane: int


def places_of(
    family: Family, chain: Collection[str], kept: Collection[str] = ()
) -> dict[str, Place]:
    """Returns where the models of a lineage are drawn.

    Each stands below the one that it updates. A chosen chain goes straight down; what branches off
    is drawn to its right, above the place where the chain goes on, so that no lines cross.

    Args:
        family: the lineage.
        chain: keys of the models that go straight down.
        kept: keys of models that are drawn however many updates there are beside them.
    """
    places: dict[str, Place] = {}
    # Models to be placed and their lanes, the next one last.
    waiting = [(family.root, 0)]
    while waiting:
        one, lane = waiting.pop()
        places[one.key] = Place(len(places), lane)
        children = list(family.children[one.key])
        if not children:
            continue
        straight = next((child for child in children if child.key in chain), children[-1])
        aside = [child for child in children if child is not straight]
        newest = aside[-MOST_ASIDE:]
        aside = [child for child in aside if child in newest or child.key in kept]
        waiting.append((straight, lane))
        waiting += [(child, lane + 1) for child in reversed(aside)]
    return places


def lineage_picture(family: Family, chain: Collection[str], in_use: str | None, chosen: str) -> str:
    """Returns a lineage as HTML: a row a model, with lines from each to its updates.

    Args:
        family: the lineage.
        chain: keys of the models whose numbers are shown.
        in_use: key of the model in use; None where none was ever adopted.
        chosen: key of the model that is looked at.
    """
    told = [key for key in (in_use, chosen) if key in family.members]
    kept = {one.key for key in told if key is not None for one in family.chain(key)}
    places = places_of(family, chain, kept)
    lanes = max(place.lane for place in places.values()) + 1
    lines = "".join(_lines(family, places, chain))
    rows = "".join(
        _row(family.members[key], place, key == in_use, key == chosen)
        for key, place in places.items()
    )
    return (
        f'<div class="thaw-lineage" style="--lanes: {lanes}">'
        f'<div aria-hidden="true">{lines}</div><ol>{rows}</ol>'
        f"{_left_out(len(family.members) - len(places))}</div>"
    )


def _left_out(num: int) -> str:
    if not num:
        return ""
    updates = "older update is" if num == 1 else "older updates are"
    return f"<small>{num:,} {updates} not drawn; choose one, and it is.</small>"


def _lines(family: Family, places: Mapping[str, Place], chain: Collection[str]) -> Iterator[str]:
    for key, place in places.items():
        parent = family.members[key].parent
        if not parent:
            continue
        start = places[parent]
        is_chosen = " thaw-chosen" if key in chain else ""
        yield (
            f'<i class="thaw-line{is_chosen}" style="--row: {start.row}; --lane: {start.lane}; '
            f'--rows: {place.row - start.row}; --across: {place.lane - start.lane}"></i>'
        )


def _row(one: Member, place: Place, is_in_use: bool, is_chosen: bool) -> str:
    colour = GREY if one.run is None else colour_of(one.run)
    hollow = "" if one.state == "here" else " thaw-hollow"
    used = " thaw-used" if is_in_use else ""
    badge = '<b class="thaw-badge">in use</b>' if is_in_use else ""
    here = ' aria-current="true"' if is_chosen else ""
    return (
        f"<li{here}>"
        f'<i class="thaw-node{hollow}{used}" style="--lane: {place.lane}; --colour: {colour}"></i>'
        f"<span>{_name(one)}{badge}<small>{escape(_words(one))}</small></span></li>"
    )


def _name(one: Member) -> str:
    if one.run is None:
        return f"<em>{escape(one.name)}</em>"
    title = f"{one.name} ({one.key}): show its curves"
    return (
        f'<a href="live?run={quote(one.key)}" target="_self" title="{escape(title)}">'
        f"{escape(one.name)}</a>"
    )


def _words(one: Member) -> str:
    """Returns what is said of a model below its name."""
    said = [STATES[one.state]]
    if one.run is not None:
        if one.parent:
            said.insert(0, METHODS[one.run.spec.update.method].label)
        if one.run.status == "finished":
            accuracy = one.run.summary.get("best_val_accuracy")
            said.append(f"{percent(accuracy)} of all so far" if accuracy else "")
        else:
            said.append(one.run.status)
    return " · ".join(word for word in said if word)
